"""The folder's codes do not depend on how many pictures are refined, or written, together."""

import threading
from pathlib import Path

import pytest
import torch

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import ReadOptions
from unicorn_codec.format.code_kinds import is_half_size
from unicorn_codec.packing import folder_encoder, refinement
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.packed import Codes
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

SIDE = 96
STEP = 7.0
"""Some of the pictures are coded at half size there."""


@pytest.fixture
def encoder(tmp_path: Path) -> FolderEncoder:
    make_demo_pictures(tmp_path / "small", count=7, size=SIDE)
    make_demo_pictures(tmp_path / "large", count=2, size=2 * SIDE)
    options = ReadOptions()
    pictures = PictureSource(list_folder(tmp_path, options), options)
    return new_encoder(pictures, PackagedAutoencoder(torch.device("cpu")), load_context_model())


def encoded(encoder: FolderEncoder, rounds: int) -> Codes:
    seen: list[tuple[int, int]] = []
    codes = encoder.encode(STEP, lambda *done: seen.append(done), rounds=rounds)
    pixels = (7 + 2 * 4) * SIDE**2
    assert seen[-1] == (pixels, pixels)
    assert seen == sorted(set(seen))
    return codes


@pytest.mark.parametrize("rounds", [0, 1])
def test_codes_do_not_depend_on_what_is_written_together(
    encoder: FolderEncoder, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(refinement.PIXELS_AT_ONCE, "cpu", 2 * SIDE**2)
    found = []
    for pixels in (1, 3 * SIDE**2, 1 << 30):
        monkeypatch.setitem(folder_encoder.WRITTEN_TOGETHER, "cpu", pixels)
        found.append(encoded(encoder, rounds))
    assert found[0] == found[1] == found[2]
    assert 0 < sum(map(is_half_size, found[0].streams)) < 9


def test_an_interrupted_encoding_restores_the_number_of_threads(encoder: FolderEncoder) -> None:
    def interrupt(done: int, count: int) -> None:
        raise KeyboardInterrupt

    threads, found = torch.get_num_threads(), list[int]()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            encoder.encode(STEP, interrupt)
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(threads)
    assert found == [2]
