"""JPEG: damage is what libjpeg warns of, a missing last marker is none; no second picture is lost silently."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.picture_writers import ADOBE_PRIMARIES, as_rgb, light_in, psnr_db, scene
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.jpeg_files import reduced_eighths
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile, IncompleteFile
from unicorn_codec.pictures.reading import Decoded, decode_picture

LARGE = scene(0, 160, 120)


def read(data: bytes, options: ReadOptions | None = None) -> Decoded:
    return decode_picture(data, options or ReadOptions())


def jpeg(shown: np.ndarray = LARGE, mode: str = "RGB", **settings: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(shown).convert(mode).save(buffer, "JPEG", **{"quality": 97, "subsampling": 0, **settings})
    return buffer.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_kinds_of_coding(progressive: bool, subsampling: int) -> None:
    data = jpeg(progressive=progressive, subsampling=subsampling)
    assert psnr_db(read(data).pixels, LARGE) > 30
    assert np.abs(read(data).pixels.astype(int) - np.asarray(Image.open(io.BytesIO(data)))).max() <= 1


def test_gray_and_cmyk() -> None:
    gray = read(jpeg(mode="L")).pixels
    assert psnr_db(gray, as_rgb(np.asarray(Image.fromarray(LARGE).convert("L")))) > 40
    assert (gray[..., 0] == gray[..., 2]).all()
    for subsampling in (0, 2):
        decoded = read(jpeg(mode="CMYK", subsampling=subsampling))
        assert psnr_db(decoded.pixels, LARGE) > 30
        assert [("not checked for damage" in note) for note in decoded.notes] == [True] * (subsampling // 2)


# --- damage ---


def half(data: bytes) -> int:
    return len(data) // 2


@pytest.mark.parametrize("progressive", [False, True])
def test_damage_is_named(progressive: bool) -> None:
    data = jpeg(progressive=progressive)
    end, zeros = data[-2:], bytes(half(data))
    damaged = {
        "half zeros": data[: half(data)] + zeros,
        "half zeros, closed": data[: half(data)] + zeros[2:] + end,
        "cut": data[: half(data)],
        "cut and closed": data[: half(data)] + end,
        "600 bytes of zeros": data[: half(data)] + bytes(600) + data[half(data) + 600 :],
        "300 bytes gone": data[: half(data)] + data[half(data) + 300 :],
    }
    for name, one in damaged.items():
        with pytest.raises(DamagedFile):
            read(one)
        accepted = read(one, ReadOptions(accept_damaged=True))
        assert accepted.pixels.shape == LARGE.shape, name
        assert accepted.notes[0].startswith("it is damaged: "), name


def test_a_progressive_picture_without_its_last_scans_is_damaged() -> None:
    data = jpeg(progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    with pytest.raises(DamagedFile, match="scans are missing"):
        read(data[:last_scan] + b"\xff\xd9")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_missing_last_marker_is_no_damage(progressive: bool) -> None:
    data = jpeg(progressive=progressive)
    for whole in (data[:-2], data[:-1], data + b"more behind the end", data + bytes(1000)):
        decoded = read(whole)
        assert psnr_db(decoded.pixels, LARGE) > 40 and not decoded.notes


# --- other pictures in the file ---


def with_xmp(text: str) -> bytes:
    body = b"http://ns.adobe.com/xap/1.0/\0" + text.encode()
    return jpeg()[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg()[2:]


def test_a_motion_photo_is_named() -> None:
    data = with_xmp('<x:xmpmeta GCamera:MotionPhoto="1"/>') + b"\0\0\0\x18ftypmp42" + bytes(100)
    with pytest.raises(IncompleteFile, match="video would be lost"):
        read(data)
    (note,) = read(data, ReadOptions(first_page=True)).notes
    assert "video" in note


def test_a_gain_map_is_told_and_stops_nothing() -> None:
    second = with_xmp('<x:xmpmeta xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>')
    buffer = io.BytesIO()
    Image.fromarray(LARGE).save(
        buffer, "MPO", quality=97, save_all=True, append_images=[Image.open(io.BytesIO(second))]
    )
    start = buffer.getvalue().rindex(b"\xff\xd8\xff")
    first = buffer.getvalue()[:start]
    for whole in (first + second, jpeg() + second):
        assert read(whole).notes == ("its HDR gain map is not kept",)


def test_a_picture_or_a_video_behind_the_first_is_named() -> None:
    for behind in (jpeg(), bytes(16) + jpeg(), b"\0\0\0\x18ftypmp42" + bytes(100)):
        with pytest.raises(IncompleteFile, match="would be lost"):
            read(jpeg() + behind)
        assert psnr_db(read(jpeg() + behind, ReadOptions(first_page=True)).pixels, LARGE) > 40


# --- colour ---


def dcf_exif(index: bytes, space: int = 65535) -> bytes:
    def directory(*entries: bytes) -> bytes:
        return len(entries).to_bytes(2, "big") + b"".join(entries) + bytes(4)

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return tag.to_bytes(2, "big") + kind.to_bytes(2, "big") + count.to_bytes(4, "big") + value

    first = directory(entry(0x8769, 4, 1, (26).to_bytes(4, "big")))
    second = directory(
        entry(0xA001, 3, 1, space.to_bytes(2, "big") + bytes(2)), entry(0xA005, 4, 1, (56).to_bytes(4, "big"))
    )
    return b"Exif\0\0MM\0*\0\0\0\x08" + first + second + directory(entry(1, 2, 4, index))


def test_adobe_rgb_by_exif() -> None:
    stored = np.rint(255 * light_in(ADOBE_PRIMARIES, LARGE) ** (1 / 2.2)).astype(np.uint8)
    assert psnr_db(read(jpeg(stored, exif=dcf_exif(b"R03\0"))).pixels, LARGE) > 40
    for kind in ("PNG", "WEBP"):
        buffer = io.BytesIO()
        more = {"lossless": True} if kind == "WEBP" else {}
        exif = dcf_exif(b"R03\0")
        Image.fromarray(stored).save(buffer, kind, exif=exif if kind == "WEBP" else exif[6:], **more)
        assert psnr_db(read(buffer.getvalue()).pixels, LARGE) > 40, kind
    for plain in (dcf_exif(b"R98\0"), dcf_exif(b"R98\0", space=1), dcf_exif(b"R03\0", space=1)):
        assert psnr_db(read(jpeg(exif=plain)).pixels, LARGE) > 40


def test_a_profile_counts_before_exif() -> None:
    profile = bytes(imagecodecs.cms_profile("srgb"))
    data = jpeg(icc_profile=profile, exif=dcf_exif(b"R03\0"))
    assert psnr_db(read(data).pixels, LARGE) > 40


# --- size ---


@pytest.mark.parametrize(
    ("size", "max_side", "eighths"),
    [((9000, 12), 0, 8), ((8000, 12000), 2000, 4), ((16000, 12), 1000, 1), ((9, 16000), 5000, 8), ((90, 90), 80, 8)],
)
def test_what_is_scaled_is_decoded_at_a_reduced_size(size: tuple[int, int], max_side: int, eighths: int) -> None:
    assert reduced_eighths(*size, ReadOptions(max_side=max_side, max_pixels=50_000)) == eighths


def test_a_picture_above_the_limit_is_read_where_it_is_scaled() -> None:
    large = np.asarray(Image.fromarray(LARGE).resize((1600, 1200), Image.Resampling.BICUBIC))
    data = jpeg(large)
    small = ReadOptions(max_pixels=500_000)
    with pytest.raises(BadFile, match="1600x1200 pixels; 500000 are allowed"):
        read(data, small)
    decoded = read(data, ReadOptions(max_pixels=500_000, max_side=160))
    assert decoded.scaled
    assert psnr_db(decoded.pixels, np.asarray(Image.fromarray(large).resize((160, 120), Image.Resampling.LANCZOS))) > 36
