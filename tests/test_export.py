"""The script that writes a run's weights into the package."""

import hashlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import zstandard
from safetensors.numpy import load as load_arrays
from safetensors.torch import load as load_tensors

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL, default_name
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, weights_of

NAME = default_name()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import export

    monkeypatch.setattr(export, "__file__", str(tmp_path / "models" / "export.py"))
    package = tmp_path / "unicorn_codec" / "pretrained"
    package.mkdir(parents=True)
    (package / "manifest.json").write_text(json.dumps({"default": NAME, "models": []}))
    return export


def written(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *options: str) -> Path:
    """Export a run whose weights are those of ``NAME`` times three; return the package's folder."""
    average = PackagedAutoencoder(torch.device("cpu"), name=NAME).network.state_dict()
    rate = RateModel.of(load_context_model(NAME)).state_dict()
    tripled = {"average": {key: 3 * weight for key, weight in average.items()}}
    torch.save(tripled | {"rate": rate}, tmp_path / "checkpoint.pt")
    (tmp_path / "settings.json").write_text(json.dumps({"network": {"max_step": 12.0}}))
    monkeypatch.setattr("sys.argv", ["export.py", "--run", str(tmp_path), "--name", "new-1", *options])
    script.main()
    return tmp_path / "unicorn_codec" / "pretrained"


def read(package: Path, role: str) -> bytes:
    """Read an exported model as the registry does, its checksum included."""
    (entry,) = (e for e in json.loads((package / "manifest.json").read_text())["models"] if e["role"] == role)
    data = zstandard.ZstdDecompressor().decompress((package / entry["file"]).read_bytes())
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    return data


@pytest.mark.parametrize(("options", "times"), [((), 3), (("--mean", NAME), 2)])
def test_weights_are_written_as_they_are_or_as_the_mean_with_those_of_the_package(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...], times: float
) -> None:
    package = written(script, monkeypatch, tmp_path, *options)
    weights = weights_of(load_tensors(read(package, AUTOENCODER)))
    for key, weight in PackagedAutoencoder(torch.device("cpu"), name=NAME).network.state_dict().items():
        assert (weights[key] - times * weight).abs().max() <= 0.01 * times * weight.abs().max(), key
    manifest = json.loads((package / "manifest.json").read_text())
    configs = {(entry["name"], entry["role"]): entry.get("config") for entry in manifest["models"]}
    assert manifest["default"] == "new-1"
    assert configs == {("new-1", AUTOENCODER): {"max_step": 12.0}, ("new-1", CONTEXT_MODEL): None}


def test_a_context_model_is_the_integers_that_it_was(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = load_arrays(read(written(script, monkeypatch, tmp_path), CONTEXT_MODEL))
    then = load_context_model(NAME)
    for name in ("mean", "scale", "linear", "mean_bias", "frequencies"):
        np.testing.assert_array_equal(model[name], getattr(then, name))
