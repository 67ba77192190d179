"""GIF, WebP and BMP: canvas, opacity and cut files."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.picture_writers import HEIGHT, ON_WHITE, OPACITY, SCENE, WIDTH, on_white, psnr_db
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_files import DamagedFile
from unicorn_codec.pictures.reading import Decoded, decode_picture

ALPHA = np.rint(OPACITY * 255).astype(np.uint8)


def read(data: bytes, options: ReadOptions | None = None) -> Decoded:
    return decode_picture(data, options or ON_WHITE)


def saved(image: Image.Image, kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def smaller_than_its_canvas(inner: Image.Image, left: int, top: int, **settings: object) -> bytes:
    data = bytearray(saved(inner, "GIF", interlace=0, **settings))
    struct.pack_into("<HH", data, 6, WIDTH, HEIGHT)
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    while data[at] != 0x2C:
        at += 8 if data[at : at + 2] == b"\x21\xf9" else 1
    struct.pack_into("<HH", data, at + 1, left, top)
    return bytes(data)


def test_what_a_gif_frame_leaves_of_the_canvas_is_transparent() -> None:
    inner = Image.fromarray(SCENE[8:24, 10:40].copy()).quantize(64, dither=Image.Dither.NONE)
    expected = np.full_like(SCENE, 255)
    expected[8:24, 10:40] = np.asarray(inner.convert("RGB"))
    decoded = read(smaller_than_its_canvas(inner, 10, 8))
    assert np.array_equal(decoded.pixels, expected)
    assert decoded.flattened


def test_a_transparent_colour_inside_a_smaller_frame() -> None:
    inner = Image.fromarray(SCENE[8:24, 10:40].copy()).quantize(64, dither=Image.Dither.NONE)
    hole = np.asarray(inner) == 5
    decoded = read(smaller_than_its_canvas(inner, 10, 8, transparency=5), ReadOptions(background=(1, 2, 3)))
    inside = decoded.pixels[8:24, 10:40]
    assert hole.any() and (inside[hole] == (1, 2, 3)).all()
    assert np.array_equal(inside[~hole], np.asarray(inner.convert("RGB"))[~hole])
    assert (decoded.pixels[0] == (1, 2, 3)).all()


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_with_opacity(lossless: bool) -> None:
    data = saved(Image.fromarray(np.dstack([SCENE, ALPHA])), "WEBP", lossless=lossless, quality=98, exact=True)
    assert psnr_db(read(data).pixels, on_white(SCENE, ALPHA / 255)) > (50 if lossless else 30)


def test_a_webp_that_is_cut_is_named() -> None:
    data = saved(Image.fromarray(SCENE), "WEBP", quality=90)
    for size in (len(data) - 2, len(data) // 2, 40):
        with pytest.raises(DamagedFile):
            read(data[:size])


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_of_which_half_is_zeros_is_named(lossless: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = saved(Image.fromarray(noise), "WEBP", quality=90, lossless=lossless)
    zeroed = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    with pytest.raises(DamagedFile, match="zero"):
        read(zeroed)
    assert read(zeroed, ReadOptions(accept_damaged=True)).notes[0].startswith("it is damaged: ")


def test_bmp_with_a_fourth_byte() -> None:
    opaque, clear = (Image.fromarray(np.dstack([SCENE, alpha])) for alpha in (ALPHA * 0, ALPHA))
    for kind in ("BMP", "DIB"):
        assert np.array_equal(read(saved(opaque, kind)).pixels, SCENE)
        assert psnr_db(read(saved(clear, kind)).pixels, on_white(SCENE, ALPHA / 255)) > 50


def test_bmp_with_an_embedded_profile() -> None:
    flat = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    profile = bytes(imagecodecs.cms_profile("rgb", whitepoint=(0.3127, 0.3290), primaries=flat, gamma=1.0))
    rows = SCENE[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, WIDTH, HEIGHT, 1, 24, 0, len(rows), 0, 0, 0, 0)
    header += bytes(16) + b"DEBM" + bytes(36 + 12) + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    data = struct.pack("<2sIHHI", b"BM", 138 + len(rows) + len(profile), 0, 0, 138) + header + rows + profile
    light = SCENE / 255
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert psnr_db(read(data).pixels, np.rint(expected * 255).astype(np.uint8)) > 40
