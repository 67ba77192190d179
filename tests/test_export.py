"""The script that writes a run's weights into the package."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file as load_tensors

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, weights_of

NAME = "embedded-7"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import export

    monkeypatch.setattr(export, "__file__", str(tmp_path / "models" / "export.py"))
    (tmp_path / "unicorn_codec" / "pretrained").mkdir(parents=True)
    return export


def written(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *options: str) -> Path:
    """The package's folder after a run was exported whose weights are those of ``NAME`` times three."""
    average = PackagedAutoencoder(torch.device("cpu"), name=NAME).network.state_dict()
    rate = RateModel.of(load_context_model(NAME)).state_dict()
    tripled = {"average": {key: 3 * weight for key, weight in average.items()}}
    torch.save(tripled | {"rate": rate}, tmp_path / "checkpoint.pt")
    (tmp_path / "settings.json").write_text(json.dumps({"network": {"max_step": 12.0}}))
    names = ["--autoencoder", "a", "--context-model", "c"]
    monkeypatch.setattr("sys.argv", ["export.py", "--run", str(tmp_path), *names, *options])
    script.main()
    return tmp_path / "unicorn_codec" / "pretrained"


@pytest.mark.parametrize(("options", "times"), [((), 3), (("--mean", NAME), 2)])
def test_weights_are_written_as_they_are_or_as_the_mean_with_those_of_the_package(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...], times: float
) -> None:
    package = written(script, monkeypatch, tmp_path, *options)
    weights = weights_of(load_tensors(package / "a.safetensors"))
    for key, weight in PackagedAutoencoder(torch.device("cpu"), name=NAME).network.state_dict().items():
        assert (weights[key] - times * weight).abs().max() <= 0.01 * times * weight.abs().max(), key
    assert json.loads((package / "a.json").read_text()) == {"max_step": 12.0}


def test_a_context_model_is_the_integers_that_it_was(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = load_arrays(written(script, monkeypatch, tmp_path) / "c.safetensors")
    then = load_context_model(NAME)
    for name in ("mean", "scale", "linear", "mean_bias", "frequencies"):
        np.testing.assert_array_equal(model[name], getattr(then, name))
