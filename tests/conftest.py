"""Shared by all tests: one thread for each test process, small archives and the autoencoder of the package."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import CodesOptions
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

torch.set_num_threads(1)

# Test processes share the cores, so that the time of one example says nothing.
settings.register_profile("shared-cores", deadline=None)
settings.load_profile("shared-cores")


def by_position(archive: Archive) -> list[int]:
    """Index of each picture, in ascending order of names."""
    return [index for index, _ in sorted(archive.names.items(), key=lambda one: one[1].encode())]


def draw(seed: int, width: int, height: int) -> np.ndarray:
    """A smooth colourful picture, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 64
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(-3, 3, (3, 3))]
    return (127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of two sizes, one in a subfolder, none a multiple of 16."""
    root = tmp_path_factory.mktemp("pictures of all sorts")
    for number in range(4):
        write_picture(draw(number, 50, 40), root / f"wide {number}.png")
    (root / "tall").mkdir()
    for number in range(2):
        write_picture(draw(10 + number, 33, 70), root / "tall" / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def tiny_options() -> NetworkOptions:
    return NetworkOptions(hidden_size=16, depth=2, train=TrainConfig(epochs=200), seed=7, device="cpu")


@pytest.fixture(scope="session")
def autoencoder() -> PackagedAutoencoder:
    """The autoencoder of the package. Tests must not change it."""
    return PackagedAutoencoder(torch.device("cpu"))


@pytest.fixture(scope="session")
def rate() -> RateModel:
    """The model of the codes' bits that refinement minimises by. Tests must not change it."""
    return RateModel.of(load_context_model())


@pytest.fixture(scope="session")
def coded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    """An archive of ``folder``, every picture as latents, and what packing it reported."""
    path = tmp_path_factory.mktemp("archives") / "codes.uni"
    return path, pack(folder, path, CodesOptions(sequences=False, avif=False, device="cpu", seed=7))


@pytest.fixture(scope="session")
def packed(
    folder: Path, tiny_options: NetworkOptions, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, PackReport]:
    """A small archive of ``folder`` and what packing it reported."""
    path = tmp_path_factory.mktemp("archives") / "tiny.uni"
    return path, pack(folder, path, tiny_options)
