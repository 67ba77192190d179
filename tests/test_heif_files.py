"""AVIF and HEIC: colour spaces of the container, depths, several pictures in one file, and missing packages."""

import io
import struct
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.picture_writers import BT2020_PRIMARIES, ON_WHITE, P3_PRIMARIES, as_rgb, light_in, psnr_db, scene, srgb_curve
from tests.test_png_files import pq_curve
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.heif_boxes import parse_heif
from unicorn_codec.pictures.picture_files import DamagedFile, IncompleteFile, MissingReader
from unicorn_codec.pictures.reading import Decoded, decode_picture

LARGE = scene(0, 160, 120)


def read(data: bytes, options: ReadOptions | None = None) -> Decoded:
    return decode_picture(data, options or ON_WHITE)


def avif(shown: np.ndarray, **settings: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(shown).save(buffer, "AVIF", **{"quality": 97, "subsampling": "4:4:4", **settings})
    return buffer.getvalue()


def labelled(data: bytes, primaries: int, transfer: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(">HH", changed, data.index(b"colrnclx") + 8, primaries, transfer)
    return bytes(changed)


def eight_bits(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 255).astype(np.uint8)


def test_colour_spaces_of_the_container() -> None:
    p3 = avif(eight_bits(srgb_curve(light_in(P3_PRIMARIES, LARGE))))
    assert psnr_db(read(labelled(p3, 12, 13)).pixels, LARGE) > 37
    assert psnr_db(read(labelled(avif(LARGE), 1, 1)).pixels, LARGE) > 37
    assert psnr_db(read(labelled(avif(LARGE), 2, 2)).pixels, LARGE) > 37


def test_a_profile_counts_before_the_container() -> None:
    data = avif(LARGE, icc_profile=bytes(imagecodecs.cms_profile("srgb")))
    assert parse_heif(data).nclx is not None
    assert psnr_db(read(labelled(data, 9, 16)).pixels, LARGE) > 37


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_eight_bits(bits: int) -> None:
    top = (1 << bits) - 1
    deep = np.rint(LARGE / 255 * top).astype(np.uint16)
    data = bytes(imagecodecs.avif_encode(deep, level=97, bitspersample=bits))
    assert psnr_db(read(data).pixels, LARGE) > 42


def test_pq_in_ten_bits() -> None:
    stored = np.rint(pq_curve(light_in(BT2020_PRIMARIES, LARGE)) * 1023).astype(np.uint16)
    data = bytes(imagecodecs.avif_encode(stored, level=98, bitspersample=10, primaries=9, transfer=16, matrix=9))
    decoded = read(data)
    assert psnr_db(decoded.pixels, LARGE) > 36
    assert "203 cd/m2" in decoded.notes[0]


def test_opacity() -> None:
    opacity = np.zeros((120, 160), np.uint8)
    opacity[:, 80:] = 255
    decoded = read(avif(np.dstack([LARGE, opacity])))
    assert (decoded.pixels[:, :70] > 250).all() and psnr_db(decoded.pixels[:, 90:], LARGE[:, 90:]) > 36


def test_a_cut_avif_is_named() -> None:
    data = avif(LARGE)
    for size in (len(data) // 2, len(data) - 200):
        with pytest.raises(DamagedFile):
            read(data[:size])


def test_an_avif_of_which_half_is_zeros_is_named() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = avif(noise)
    with pytest.raises(DamagedFile, match="zero"):
        read(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


# --- HEIC ---

FAKE = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(3000)


def test_heic_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingReader, match=r"unicorn-codec\[heif\]"):
        read(FAKE)


def test_camera_raw_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MissingReader, match=r"unicorn-codec\[raw\]"):
        read(b"FUJIFILMCCD-RAW 0201" + bytes(5000))


def heic(*pictures: np.ndarray, **settings: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.from_pillow(Image.fromarray(pictures[0]))
    for picture in pictures[1:]:
        file.add_from_pillow(Image.fromarray(picture))
    buffer = io.BytesIO()
    file.save(buffer, quality=95, chroma=444, **settings)
    return buffer.getvalue()


def test_heic_with_its_package() -> None:
    assert psnr_db(read(heic(LARGE)).pixels, LARGE) > 36
    gray = np.asarray(Image.fromarray(LARGE).convert("L"))
    assert psnr_db(read(heic(gray)).pixels, as_rgb(gray)) > 36


def test_several_pictures_in_a_heic_are_named() -> None:
    data = heic(LARGE, LARGE[::-1].copy())
    with pytest.raises(IncompleteFile, match="it holds 2 pictures"):
        read(data)
    assert psnr_db(read(data, ReadOptions(first_page=True)).pixels, LARGE) > 36


def test_a_damaged_heic_is_named() -> None:
    pytest.importorskip("pillow_heif")
    with pytest.raises(DamagedFile):
        read(FAKE)
