"""PNG files by libdeflate: the same pixels by another reader, and no more bytes than zlib takes."""

import io

import numpy as np
import pytest
from PIL import Image

from unicorn_codec.pictures import png_writing
from unicorn_codec.pictures.png_writing import encode_png, is_flat

RNG = np.random.default_rng(4)


def flat_picture(height: int, width: int, channels: int) -> np.ndarray:
    picture = np.full((height, width, channels), 200, np.uint8)
    picture[height // 3 :, width // 2 :] = 17
    return picture


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (255, 3), (257, 5), (600, 40)])
@pytest.mark.parametrize("kind", ["noise", "flat"])
def test_another_reader_finds_the_pixels(kind: str, height: int, width: int, channels: int) -> None:
    noise = RNG.integers(0, 256, (height, width, channels), np.uint8)
    pixels = noise if kind == "noise" else flat_picture(height, width, channels)
    with Image.open(io.BytesIO(encode_png(pixels))) as picture:
        picture.verify()
    with Image.open(io.BytesIO(encode_png(pixels))) as picture:
        assert picture.mode == ("RGB" if channels == 3 else "RGBA")
        assert np.array_equal(np.asarray(picture), pixels)


def test_a_view_of_pixels_is_written_as_it_looks() -> None:
    pixels = RNG.integers(0, 256, (20, 30, 4), np.uint8)[::2, ::3, :3]
    with Image.open(io.BytesIO(encode_png(pixels))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_further_chunks_precede_the_pixels() -> None:
    data = encode_png(flat_picture(4, 4, 3), [(b"tEXt", b"Title\0cat"), (b"tEXt", b"Author\0me")])
    assert data.index(b"Title") < data.index(b"Author") < data.index(b"IDAT")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.text == {"Title": "cat", "Author": "me"}  # type: ignore[attr-defined]


def test_flat_pictures_are_not_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = np.kron(RNG.integers(0, 256, (12, 12, 3), np.uint8), np.ones((9, 9, 1), np.uint8))
    assert is_flat(drawing)
    unfiltered = len(encode_png(drawing))
    monkeypatch.setattr(png_writing, "is_flat", lambda _: False)
    assert unfiltered < len(encode_png(drawing))


def test_smooth_pictures_take_no_more_bytes_than_with_zlib() -> None:
    rows, columns = np.mgrid[0:256, 0:256]
    waves = np.stack([np.sin(rows / 31 + c) + np.cos(columns / (23 + c)) for c in range(3)], axis=-1)
    pixels = (127 + 60 * waves + RNG.normal(0, 3, waves.shape)).clip(0, 255).astype(np.uint8)
    assert not is_flat(pixels)
    by_zlib = io.BytesIO()
    Image.fromarray(pixels).save(by_zlib, "PNG", compress_level=6)
    assert len(encode_png(pixels)) <= len(by_zlib.getvalue())
