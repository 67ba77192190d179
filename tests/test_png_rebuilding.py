"""PNG files are taken apart and put together to the same bytes, or left alone."""

import struct
import zlib

import numpy as np
import pytest

from tests.picture_writers import SCENE, png_chunk, png_of
from unicorn_codec.errors import InvalidField, PackageMissing, PictureTooLarge
from unicorn_codec.pictures import png_rebuilding
from unicorn_codec.pictures.png_rebuilding import Deflate, put_together, take_apart

MANY = 1 << 27
RNG = np.random.default_rng(5)
GRADIENT = np.add.outer(np.arange(30) * 3, np.arange(40) * 2).astype(np.uint8)


def filtered_png(samples: np.ndarray, colour_type: int, depth: int, deflate: Deflate, cut: int = 100) -> bytes:
    """A PNG file whose rows have all kinds of filters in turn, in chunks of ``cut`` bytes."""
    height, width = samples.shape[:2]
    rows = np.ascontiguousarray(samples, ">u2" if depth == 16 else np.uint8).view(np.uint8).reshape(height, -1)
    kinds = np.arange(height, dtype=np.uint8) % 5
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    data = png_rebuilding._filter(rows, kinds, channels * depth // 8)
    stream = b"\x78\x9c" + deflate.compress(data) + struct.pack(">I", zlib.adler32(data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    palette = [png_chunk(b"PLTE", bytes(768))] if colour_type == 3 else []
    pieces = [png_chunk(b"IDAT", stream[at : at + cut]) for at in range(0, len(stream), cut)]
    text = png_chunk(b"tEXt", b"Comment\0behind")
    start = [b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), *palette]
    return b"".join([*start, *pieces, text, png_chunk(b"IEND"), b"trailing"])


@pytest.mark.parametrize(
    ("shape", "colour_type", "depth"),
    [
        *(((), kind, depth) for kind, depth in ((0, 8), (0, 16), (3, 8))),
        *(((channels,), kind, depth) for channels, kind in ((2, 4), (3, 2), (4, 6)) for depth in (8, 16)),
    ],
)
def test_every_kind_of_samples_comes_back(shape: tuple[int, ...], colour_type: int, depth: int) -> None:
    scale = 257 if depth == 16 else 1
    samples = GRADIENT.reshape(30, 40, *[1] * len(shape)) * np.ones(shape, np.uint16) * scale + RNG.integers(
        0, 3, (30, 40, *shape)
    )
    data = filtered_png(samples % (256 * scale), colour_type, depth, Deflate(6, 0, 15, 8))
    stored = take_apart(data)
    assert stored is not None and put_together(stored, len(data), MANY) == data


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("strategy", png_rebuilding.STRATEGIES)
@pytest.mark.parametrize("memory", png_rebuilding.MEMORY_LEVELS)
def test_settings_of_zlib_are_found(level: int, strategy: int, memory: int) -> None:
    data = filtered_png(SCENE, 2, 8, Deflate(level, strategy, 15, memory), cut=8192)
    stored = take_apart(data)
    assert stored is not None and put_together(stored, len(data), MANY) == data


def test_samples_of_few_bits_come_back() -> None:
    data = png_of(GRADIENT // 16, 4, colour_type=0)
    stored = take_apart(data)
    assert stored is not None and put_together(stored, len(data), MANY) == data


def test_a_photograph_takes_fewer_bytes() -> None:
    data = filtered_png(SCENE, 2, 8, Deflate(9, 0, 15, 8))
    stored = take_apart(data)
    assert stored is not None and len(stored) < len(data)


def test_files_that_cannot_be_made_again_are_left_alone() -> None:
    data = png_of(SCENE)
    other = b"\x78\x01" + zlib.compress(bytes(30 * 121), 0)[2:]
    header = struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0)
    plain = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", other) + png_chunk(b"IEND")
    interlaced = data[:28] + b"\1" + data[29:]
    for one in (b"", data[:60], plain, interlaced, data.replace(b"IDAT", b"IDOT")):
        assert take_apart(one) is None


def test_another_zlib_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = png_of(SCENE)
    stored = take_apart(data)
    assert stored is not None
    monkeypatch.setattr(png_rebuilding, "zlib_is_reference", lambda: False)
    assert take_apart(data) is None
    with pytest.raises(PackageMissing, match="zlib"):
        put_together(stored, len(data), MANY)


def test_a_large_claim_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = filtered_png(SCENE, 2, 8, Deflate(9, 0, 15, 8))
    stored = take_apart(data)
    assert stored is not None and stored[0] == png_rebuilding.JPEG_XL
    monkeypatch.setattr("imagecodecs.jpegxl_decode", None)
    with pytest.raises(PictureTooLarge):
        put_together(stored, len(data), 100)


def test_no_cut_breaks_the_decoder() -> None:
    data = filtered_png(SCENE[:20, :20], 2, 8, Deflate(6, 0, 15, 8))
    stored = take_apart(data)
    assert stored is not None
    for end in range(0, len(stored), 7):
        with pytest.raises(InvalidField):
            put_together(stored[:end], len(data), MANY)
