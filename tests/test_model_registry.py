"""The package's models are those of the manifest, found by role and name."""

import json
from importlib import resources
from pathlib import Path

import pytest

from unicorn_codec import model_registry
from unicorn_codec.errors import ModelUnavailable
from unicorn_codec.model_registry import (
    AUTOENCODER,
    CONTEXT_MODEL,
    THUMBNAIL,
    Model,
    default_name,
    get_model,
    models,
    names,
)

FOLDER = resources.files("unicorn_codec") / "pretrained"
MOST_BYTES = 14_000_000


def test_the_manifest_lists_every_model_of_the_package() -> None:
    listed = {model.file for role in (AUTOENCODER, CONTEXT_MODEL, THUMBNAIL) for model in models(role)}
    assert {entry.name for entry in FOLDER.iterdir()} == listed | {"manifest.json", "uni-1.md"}


@pytest.mark.parametrize("role", [AUTOENCODER, CONTEXT_MODEL, THUMBNAIL])
def test_every_model_is_whole_and_of_the_listed_size(role: str) -> None:
    for model in models(role):
        assert len(model.read()) == model.size


def test_the_default_has_both_roles() -> None:
    assert get_model(AUTOENCODER).name == get_model(CONTEXT_MODEL).name == default_name()


def test_the_package_data_stay_small() -> None:
    assert sum(len(entry.read_bytes()) for entry in FOLDER.iterdir()) <= MOST_BYTES


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable, match=f"no context-model 'unheard-of'; it has {default_name()}"):
        get_model(CONTEXT_MODEL, "unheard-of")


def test_a_missing_and_a_damaged_file_are_refused() -> None:
    missing = Model(name="x", role=AUTOENCODER, file="no-such-file", sha256=bytes(32), size=1, config={})
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        missing.read()
    file = get_model(AUTOENCODER).file
    with pytest.raises(ModelUnavailable, match="damaged"):
        Model(name="x", role=AUTOENCODER, file=file, sha256=bytes(32), size=1 << 24, config={}).read()


def test_a_model_takes_a_file_and_an_entry_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = names(AUTOENCODER)
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    added = [{**entry, "name": "second"} for entry in manifest["models"] if entry["name"] == manifest["default"]]
    package = tmp_path / "pretrained"
    package.mkdir()
    for entry in manifest["models"]:
        (package / entry["file"]).write_bytes((FOLDER / entry["file"]).read_bytes())
    (package / "manifest.json").write_text(json.dumps({**manifest, "models": manifest["models"] + added}))
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    model_registry._manifest.cache_clear()
    try:
        assert names(AUTOENCODER) == (*shipped, "second")
        assert get_model(CONTEXT_MODEL, "second").read()
    finally:
        model_registry._manifest.cache_clear()
