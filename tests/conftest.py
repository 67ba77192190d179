"""Shared by all tests: one thread, since the test networks are tiny, and a small archive."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unicorn_codec.config import CodesOptions, NetworkOptions, TrainConfig
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.images import write_picture

torch.set_num_threads(1)


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
def coded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    """An archive of codes of ``folder`` and what packing it reported."""
    path = tmp_path_factory.mktemp("archives") / "codes.uni"
    return path, pack(folder, path, CodesOptions(sequences=False, device="cpu", seed=7))


@pytest.fixture(scope="session")
def packed(
    folder: Path, tiny_options: NetworkOptions, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, PackReport]:
    """A small archive of ``folder`` and what packing it reported."""
    path = tmp_path_factory.mktemp("archives") / "tiny.uni"
    return path, pack(folder, path, tiny_options)
