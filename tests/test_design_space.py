"""Every condition with every index embedding is packed, opened and unpacked."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import draw
from unicorn_codec.archive import Archive
from unicorn_codec.config import PackOptions
from unicorn_codec.format.header import CONDITIONS, INDEX_EMBEDDINGS
from unicorn_codec.network.training import is_hidden_matrix
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.archive_writing import read_packed
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.weights.weight_section import parse_weights, split_tensors, weight_summary


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pair")
    for number in range(2):
        write_picture(draw(number, 32, 32), root / f"{number}.png")
    return root


def options(epochs: int = 4, **settings: object) -> PackOptions:
    train = TrainConfig(epochs=epochs, optimizer=str(settings.pop("optimizer", "muon")))
    return NetworkOptions(hidden_size=16, depth=1, device="cpu", train=train, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("condition", "index_embedding"), list(itertools.product(CONDITIONS, INDEX_EMBEDDINGS)))
def test_every_kind_of_network_round_trips(pair: Path, tmp_path: Path, condition: str, index_embedding: str) -> None:
    report = pack(pair, tmp_path / "a.uni", options(condition=condition, index_embedding=index_embedding))
    container = read_packed(tmp_path / "a.uni")
    assert container.header.denoising is not None and container.weights is not None
    network = container.header.denoising.network
    assert (network.condition, network.index_embedding) == (condition, index_embedding)
    assert report.network is not None and report.network.parameters == weight_summary(container.weights).count
    tensors = split_tensors(parse_weights(container.weights)[1], container.header)
    assert any(name.startswith("index_embedding.") for name in tensors) == (index_embedding != "grf")
    with Archive.open(tmp_path / "a.uni", device="cpu") as archive:
        first, again = (np.asarray(archive[1]) for _ in range(2))
    assert first.shape == (32, 32, 3) and np.array_equal(first, again)


@pytest.mark.parametrize(
    "settings",
    [{"latent_std": 1.0}, {"optimizer": "adam"}, {"index_embedding": "let"}],
    ids=str,
)
def test_other_choices_learn_the_set(pair: Path, tmp_path: Path, settings: dict[str, object]) -> None:
    reports = [
        pack(
            pair,
            tmp_path / f"{epochs}.uni",
            options(epochs, sampling_steps=1) if epochs == 1 else options(epochs, **settings),
        )
        for epochs in (1, 150)
    ]
    assert reports[1].measured.psnr_db.mean > reports[0].measured.psnr_db.mean + 1
    denoising = read_packed(tmp_path / "150.uni").header.denoising
    assert denoising is not None
    assert denoising.latent_std == pytest.approx(float(str(settings.get("latent_std", 1 / 3))))


def test_an_archive_with_noise_prediction_decodes(pair: Path, tmp_path: Path) -> None:
    report = pack(pair, tmp_path / "a.uni", options(prediction="noise", sampling_steps=10))
    denoising = read_packed(tmp_path / "a.uni").header.denoising
    assert denoising is not None and (denoising.prediction, denoising.steps) == ("noise", 10)
    assert report.measured.pictures == 2


def test_muon_trains_only_the_hidden_matrices() -> None:
    matrix, vector = torch.zeros(2, 2), torch.zeros(2)
    assert is_hidden_matrix("blocks.0.self_attention.query", matrix)
    for name in ("blocks.0.modulation", "index_embedding.table", "index_embedding.mlp_in", "patch_in"):
        assert not is_hidden_matrix(name, matrix)
    assert not is_hidden_matrix("blocks.0.gate", vector)
