"""Large pictures that are scaled down are read in bands, and look as if they had been read whole."""

import io
import itertools
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.picture_writers import as_rgb, png_chunk, png_of, psnr_db, scene
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures import png_bands
from unicorn_codec.pictures.picture_files import BadFile
from unicorn_codec.pictures.reading import decode_picture
from unicorn_codec.pictures.reducing import Reducer, reduced, reduction

LARGE = np.asarray(Image.fromarray(scene()).resize((487, 331), Image.Resampling.BICUBIC))
GRAY = np.asarray(Image.fromarray(LARGE).convert("L"))
OPTIONS = ReadOptions(max_side=80, max_pixels=40_000)
EXPECTED, EXPECTED_GRAY = (
    np.asarray(Image.fromarray(shown).resize((80, 54), Image.Resampling.LANCZOS)) for shown in (LARGE, as_rgb(GRAY))
)


def test_means_of_squares_whatever_the_bands() -> None:
    values = np.random.default_rng(0).integers(0, 256, (23, 17, 2), np.uint8)
    expected = [[values[y : y + 5, x : x + 5].mean((0, 1)) for x in range(0, 17, 5)] for y in range(0, 23, 5)]
    for heights in ([23], [1] * 23, [7, 9, 7]):
        edges = np.cumsum([0, *heights])
        bands = [values[a:b] for a, b in itertools.pairwise(edges)]
        assert np.array_equal(reduced(bands, 5), np.rint(expected))
    reducer = Reducer(2)
    reducer.add(values.astype(np.float32))
    assert reducer.samples().dtype == np.float32


def test_only_what_is_large_and_scaled_is_reduced() -> None:
    assert reduction(16_320, 12_240, ReadOptions()) == 1
    assert reduction(16_320, 12_240, ReadOptions(max_side=2000)) == 4
    assert reduction(4_000, 3_000, ReadOptions(max_side=500)) == 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("band_samples", [1, 5000])
def test_png(monkeypatch: pytest.MonkeyPatch, bits: int, band_samples: int) -> None:
    monkeypatch.setattr(png_bands, "BAND_SAMPLES", band_samples)
    unit = 1 if bits == 8 else 257
    for shown, expected in ((LARGE, EXPECTED), (GRAY, EXPECTED_GRAY)):
        with pytest.raises(BadFile, match="487x331"):
            decode_picture(png_of(shown.astype(int) * unit, bits), ReadOptions(max_pixels=40_000))
        decoded = decode_picture(png_of(shown.astype(int) * unit, bits), OPTIONS)
        assert decoded.scaled and psnr_db(decoded.pixels, expected) > 38


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_of_few_bits_and_palettes(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    monkeypatch.setattr(png_bands, "BAND_SAMPLES", 3000)
    stored = GRAY >> (8 - bits)
    whole = decode_picture(png_of(stored, bits), ReadOptions()).pixels
    expected = np.asarray(Image.fromarray(whole).resize((80, 54), Image.Resampling.LANCZOS))
    assert psnr_db(decode_picture(png_of(stored, bits), OPTIONS).pixels, expected) > 30
    tones = np.repeat(np.arange(1 << bits) * 255 // ((1 << bits) - 1), 3).astype(np.uint8)
    table = png_chunk(b"PLTE", tones.tobytes())
    coloured = decode_picture(png_of(stored, bits, table, colour_type=3), OPTIONS).pixels
    assert psnr_db(coloured, expected) > 30


def test_filtered_rows_are_followed_from_band_to_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_bands, "BAND_SAMPLES", 4000)
    for kind in range(1, 5):
        rows = b"".join(bytes([kind]) + row.tobytes() for row in filtered(LARGE.astype(int), kind))
        data = png_of(LARGE, 8)
        start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
        data = data[:start] + png_chunk(b"IDAT", zlib.compress(rows)) + data[end:]
        assert np.array_equal(decode_picture(data, ReadOptions()).pixels, LARGE)
        assert psnr_db(decode_picture(data, OPTIONS).pixels, EXPECTED) > 38


def filtered(rows: np.ndarray, kind: int) -> np.ndarray:
    """Rows of three bytes a pixel by PNG's filters 1 to 4."""
    left = np.pad(rows, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    above = np.pad(rows, ((1, 0), (0, 0), (0, 0)))[:-1]
    corner = np.pad(above, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    estimate = left + above - corner
    errors = [np.abs(estimate - one) for one in (left, above, corner)]
    paeth = np.where(
        (errors[0] <= errors[1]) & (errors[0] <= errors[2]), left, np.where(errors[1] <= errors[2], above, corner)
    )
    return np.asarray(rows - {1: left, 2: above, 3: (left + above) // 2, 4: paeth}[kind]).astype(np.uint8)


@pytest.mark.parametrize("settings", [{}, {"tile": (64, 32)}, {"rowsperstrip": 10}, {"compression": "zlib"}], ids=str)
def test_tiff(settings: dict[str, Any]) -> None:
    for shown, photometric, expected in ((LARGE, "rgb", EXPECTED), (GRAY, "minisblack", EXPECTED_GRAY)):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, shown, photometric=photometric, metadata=None, **settings)
        assert psnr_db(decode_picture(buffer.getvalue(), OPTIONS).pixels, expected) > 38


def test_a_picture_above_the_limit_takes_little_memory() -> None:
    row = b"\0" + b"\xf0" * (8_000 // 8)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(6_000)) + packer.flush()
    header = png_of(np.zeros((1, 1)), 1)
    small = header[: header.index(b"IHDR") - 4]
    size = (8_000).to_bytes(4, "big") + (6_000).to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    large = small + png_chunk(b"IHDR", size) + png_chunk(b"IDAT", data) + png_chunk(b"IEND")
    tracemalloc.start()
    decoded = decode_picture(large, ReadOptions(max_side=1000, max_pixels=1 << 24))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoded.pixels.shape == (750, 1000, 3) and abs(float(decoded.pixels.mean()) - 127.5) < 1
    assert peak < 90 << 20
