"""The script that writes a run's weights into the package."""

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import zstandard
from safetensors.numpy import load as load_arrays
from safetensors.torch import load as load_tensors

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, weights_of


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import export

    monkeypatch.setattr(export, "__file__", str(tmp_path / "models" / "export.py"))
    package = tmp_path / "unicorn_codec" / "pretrained"
    package.mkdir(parents=True)
    earlier = {"name": "earlier", "role": "autoencoder"}
    replaced = {"name": "new", "role": "autoencoder"}
    (package / "manifest.json").write_text(json.dumps({"default": "earlier", "models": [earlier, replaced]}))
    return export


def exported(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The manifest after a run was exported whose weights are those of the package times three."""
    average = PackagedAutoencoder(torch.device("cpu")).network.state_dict()
    rate = RateModel.of(load_context_model()).state_dict()
    tripled = {"average": {key: 3 * weight for key, weight in average.items()}}
    torch.save(tripled | {"rate": rate}, tmp_path / "checkpoint.pt")
    (tmp_path / "settings.json").write_text(json.dumps({"network": {"max_step": 12.0}}))
    monkeypatch.setattr("sys.argv", ["export.py", "--run", str(tmp_path), "--name", "new"])
    script.main()
    manifest: dict[str, Any] = json.loads((tmp_path / "unicorn_codec" / "pretrained" / "manifest.json").read_text())
    return manifest


def read(tmp_path: Path, entry: dict[str, Any]) -> bytes:
    """A model's safetensors bytes."""
    data = (tmp_path / "unicorn_codec" / "pretrained" / entry["file"]).read_bytes()
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=entry["bytes"])


def test_the_manifest_names_the_new_models_in_place_of_those_of_their_name(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = exported(script, monkeypatch, tmp_path)
    listed = [(entry["name"], entry["role"]) for entry in manifest["models"]]
    assert listed == [("earlier", "autoencoder"), ("new", "autoencoder"), ("new", "context-model")]
    assert manifest["default"] == "earlier"
    for entry in manifest["models"][1:]:
        assert hashlib.sha256(read(tmp_path, entry)).hexdigest() == entry["sha256"]
    assert manifest["models"][1]["config"] == {"max_step": 12.0}


def test_weights_are_written_as_they_are(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = exported(script, monkeypatch, tmp_path)["models"][1]
    weights = weights_of(load_tensors(read(tmp_path, entry)))
    for key, weight in PackagedAutoencoder(torch.device("cpu")).network.state_dict().items():
        assert (weights[key] - 3 * weight).abs().max() <= 0.03 * weight.abs().max(), key


def test_a_code_model_is_the_integers_that_it_was(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = load_arrays(read(tmp_path, exported(script, monkeypatch, tmp_path)["models"][2]))
    then = load_context_model()
    for name in ("mean", "scale", "linear", "mean_bias", "frequencies"):
        np.testing.assert_array_equal(model[name], getattr(then, name))
