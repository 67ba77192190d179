"""Work on a large picture holds its pixels once, and frees them when it is done with them."""

import gc
import io
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unicorn_codec.config import ReadOptions
from unicorn_codec.devices import map_in_workers
from unicorn_codec.freed_memory import return_freed_memory
from unicorn_codec.packing.candidates import windows_of
from unicorn_codec.packing.picture_source import PictureSource, encode_batches
from unicorn_codec.pictures.metrics import ms_ssim
from unicorn_codec.pictures.png_writing import is_flat
from unicorn_codec.pictures.reading import decode_picture
from unicorn_codec.transform.autoencoder import Autoencoder, Steps
from unicorn_codec.transform.bands import Bands, Pointwise

CPU = torch.device("cpu")
CELL = 16


class Means(Autoencoder):
    """The mean colour of each cell, in place of a network."""

    def __init__(self) -> None:
        self.device = CPU
        self.reference = cast("Any", type("Reference", (), {"downsampling": CELL, "latent_channels": 3}))

    def encode(self, pictures: Tensor) -> Tensor:
        return F.avg_pool2d(pictures, CELL)

    def band_encoder(self) -> Bands:
        return Pointwise(self.encode)

    def decode(self, latents: Tensor, step: Steps) -> Tensor:
        raise NotImplementedError


def photo(height: int, width: int) -> np.ndarray:
    """Return pixels (H, W, 3) that differ from their neighbours."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def peak_of(work: Callable[[], object]) -> int:
    """Return the bytes that NumPy and Python hold at most, of those that work takes."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
    finally:
        tracemalloc.stop()
    return peak


def test_the_encoder_pads_a_large_picture_without_a_copy() -> None:
    pixels, autoencoder = photo(2051, 3003), Means()
    latents = autoencoder.encode_pictures([pixels], CELL)
    padded = np.pad(pixels, ((0, -2051 % CELL), (0, -3003 % CELL), (0, 0)), mode="edge")
    assert torch.equal(latents, autoencoder.encode_pictures([padded], CELL))
    assert peak_of(lambda: autoencoder.encode_pictures([pixels], CELL)) < pixels.nbytes / 2


def test_a_large_jpeg_is_decoded_into_its_pixels() -> None:
    file = io.BytesIO()
    pixels = photo(2400, 3200)
    Image.fromarray(pixels).save(file, "jpeg", quality=50)
    data = file.getvalue()
    decode_picture(data, ReadOptions())
    assert peak_of(lambda: decode_picture(data, ReadOptions())) < 1.5 * pixels.nbytes + 2 * len(data)


@pytest.mark.parametrize(("work", "share"), [(ms_ssim, 1.3), (lambda a, _: is_flat(a), 0.5)])
def test_measures_take_little_memory_for_a_large_picture(work: Callable[..., object], share: float) -> None:
    pixels = photo(2400, 3200)
    assert peak_of(lambda: work(pixels, pixels[::-1])) < share * pixels.nbytes


def test_windows_do_not_keep_their_picture() -> None:
    assert all(window.base is None for window in windows_of(photo(1600, 1200)))


def test_workers_free_an_item_when_its_result_is_there() -> None:
    items = (np.zeros(1000) for _ in range(3))

    def work(item: np.ndarray) -> "weakref.ref[np.ndarray]":
        return weakref.ref(item)

    for result in map_in_workers(work, items, CPU, pixels=1 << 30):
        assert result() is None


def test_pixels_are_freed_before_their_latents_are_used() -> None:
    made: list[weakref.ref[np.ndarray]] = []

    class Source:
        sizes = ((64, 32),)

        def picture(self, _: int) -> np.ndarray:
            pixels = photo(32, 64)
            made.append(weakref.ref(pixels))
            return pixels

    for _, latents in encode_batches(cast("PictureSource", Source()), [0], Means(), CELL):
        assert latents.shape == (1, 3, 2, 4)
        assert [one() for one in made] == [None]


def test_freed_memory_can_be_returned_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    return_freed_memory()
    monkeypatch.setattr("unicorn_codec.freed_memory._malloc_trim", lambda: None)
    return_freed_memory()
