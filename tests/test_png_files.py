"""PNG: every depth, transparency, colour chunks in their order of precedence, and damage apart from mere blemishes."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from tests.picture_writers import (
    ADOBE_PRIMARIES,
    BT2020_PRIMARIES,
    GRAY,
    HEIGHT,
    ON_WHITE,
    P3_PRIMARIES,
    SCENE,
    SRGB_PRIMARIES,
    WIDTH,
    as_rgb,
    light_in,
    on_white,
    png_chunk,
    png_of,
    psnr_db,
    srgb_curve,
    srgb_light,
)
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile, IncompleteFile
from unicorn_codec.pictures.reading import Decoded, decode_picture

DEEP, DEEP_GRAY = SCENE.astype(np.uint16) * 257, GRAY.astype(np.uint16) * 257


def read(data: bytes, options: ReadOptions | None = None) -> Decoded:
    return decode_picture(data, options or ON_WHITE)


def gamma_chunk(encoding: float) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", round(encoding * 100_000)))


def chromaticities_chunk(primaries: tuple[tuple[float, float], ...]) -> bytes:
    points = [0.3127, 0.3290, *(v for point in primaries for v in point)]
    return png_chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in points)))


def profile_chunk(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"a profile\0\0" + zlib.compress(profile))


def cicp_chunk(primaries: int, transfer: int, *, full: bool = True) -> bytes:
    return png_chunk(b"cICP", bytes([primaries, transfer, 0, full]))


def deep(light: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(light, 0, 1) * 65535)


FLAT_PRIMARIES = [v for point in SRGB_PRIMARIES for v in point]
LINEAR_PROFILE = bytes(imagecodecs.cms_profile("rgb", whitepoint=(0.3127, 0.3290), primaries=FLAT_PRIMARIES, gamma=1))
LINEAR = deep(srgb_light(SCENE / 255))

# --- colour ---


def test_linear_colours_and_gray_by_gamma() -> None:
    assert psnr_db(read(png_of(LINEAR, 16, gamma_chunk(1))).pixels, SCENE) > 45
    gray = read(png_of(deep(srgb_light(GRAY / 255)), 16, gamma_chunk(1))).pixels
    assert psnr_db(gray, as_rgb(GRAY)) > 45
    assert (gray[..., 0] == gray[..., 1]).all() and (gray[..., 1] == gray[..., 2]).all()


@pytest.mark.parametrize("encoding", [0.45455, 0.45])
def test_the_gamma_that_writers_give_to_srgb_changes_nothing(encoding: float) -> None:
    chunks = (gamma_chunk(encoding), chromaticities_chunk(SRGB_PRIMARIES))
    assert np.array_equal(read(png_of(SCENE, 8, *chunks)).pixels, SCENE)
    assert np.array_equal(read(png_of(SCENE, 8, chunks[0])).pixels, SCENE)


def test_primaries_by_chromaticities() -> None:
    stored = deep(light_in(ADOBE_PRIMARIES) ** (1 / 2.2))
    data = png_of(stored, 16, gamma_chunk(1 / 2.2), chromaticities_chunk(ADOBE_PRIMARIES))
    assert psnr_db(read(data).pixels, SCENE) > 45


@pytest.mark.parametrize(("number", "primaries"), [(12, P3_PRIMARIES), (9, BT2020_PRIMARIES), (1, SRGB_PRIMARIES)])
def test_cicp_of_wide_gamuts(number: int, primaries: tuple[tuple[float, float], ...]) -> None:
    data = png_of(deep(srgb_curve(light_in(primaries))), 16, cicp_chunk(number, 13))
    assert psnr_db(read(data).pixels, SCENE) > 45


def test_cicp_of_narrow_range() -> None:
    data = png_of(np.rint(16 + SCENE / 255 * 219), 8, cicp_chunk(1, 13, full=False))
    assert psnr_db(read(data).pixels, SCENE) > 45


def bt709_curve(light: np.ndarray) -> np.ndarray:
    return np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)


def test_cicp_of_bt2020_with_its_own_curve() -> None:
    data = png_of(deep(bt709_curve(light_in(BT2020_PRIMARIES))), 16, cicp_chunk(9, 14))
    assert psnr_db(read(data).pixels, SCENE) > 45


def pq_curve(light: np.ndarray) -> np.ndarray:
    power = (light * 203 / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg_curve(light: np.ndarray) -> np.ndarray:
    """Of a display of 1000 cd/m2 that shows this light: the inverse of BT.2100's system."""
    shown = light * 203 / 1000
    luminance = (shown @ [0.2627, 0.6780, 0.0593])[..., None]
    scene = shown * np.maximum(luminance, 1e-9) ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize(("number", "curve"), [(16, pq_curve), (18, hlg_curve)])
def test_pq_and_hlg_show_diffuse_white_as_white_and_say_so(number: int, curve: object) -> None:
    assert callable(curve)
    decoded = read(png_of(deep(curve(light_in(BT2020_PRIMARIES))), 16, cicp_chunk(9, number)))
    assert psnr_db(decoded.pixels, SCENE) > 40
    assert "203 cd/m2" in decoded.notes[0]


def test_highlights_of_pq_are_rolled_off() -> None:
    light = 5 * light_in(BT2020_PRIMARIES)
    decoded = read(png_of(deep(pq_curve(light)), 16, cicp_chunk(9, 16))).pixels
    beyond = (5 * srgb_light(SCENE / 255)).max(axis=2) > 1
    assert decoded.max() >= 250
    assert (decoded.max(axis=2) == 255).mean() < 0.6 * beyond.mean()


def test_the_order_of_precedence() -> None:
    """Each of the chunks says linear where it counts, and nonsense stands behind it."""
    nonsense = gamma_chunk(0.2)
    srgb = png_chunk(b"sRGB", b"\0")
    for chunks in (
        (cicp_chunk(1, 8), profile_chunk(bytes(imagecodecs.cms_profile("srgb"))), srgb, nonsense),
        (profile_chunk(LINEAR_PROFILE), srgb, nonsense),
        (gamma_chunk(1),),
    ):
        for order in (chunks, chunks[::-1]):
            assert psnr_db(read(png_of(LINEAR, 16, *order)).pixels, SCENE) > 45
    assert np.array_equal(read(png_of(SCENE, 8, srgb, nonsense)).pixels, SCENE)
    unspecified = (cicp_chunk(2, 2), profile_chunk(LINEAR_PROFILE))
    assert psnr_db(read(png_of(LINEAR, 16, *unspecified)).pixels, SCENE) > 45


def test_dark_linear_gray_is_not_crushed() -> None:
    dark = GRAY // 6
    profile = bytes(imagecodecs.cms_profile("gray", whitepoint=(0.3457, 0.3585), gamma=1.0))
    data = png_of(deep(srgb_light(dark / 255)), 16, profile_chunk(profile))
    assert psnr_db(read(data).pixels, as_rgb(dark)) > 48


def test_a_profile_of_another_kind_is_passed_over_with_a_note() -> None:
    decoded = read(png_of(SCENE, 8, profile_chunk(bytes(imagecodecs.cms_profile("gray", gamma=2.2)))))
    assert np.array_equal(decoded.pixels, SCENE)
    assert "colour profile" in decoded.notes[0]
    decoded = read(png_of(SCENE, 8, profile_chunk(b"no profile")))
    assert np.array_equal(decoded.pixels, SCENE) and decoded.notes


# --- transparency ---


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_gray_of_every_depth(bits: int) -> None:
    samples = DEEP_GRAY if bits == 16 else GRAY >> (8 - bits)
    key = int(samples[5, 7])
    shown = np.rint(samples * (255 / ((1 << bits) - 1))).astype(np.uint8)
    decoded = read(png_of(samples, bits, png_chunk(b"tRNS", struct.pack(">H", key))))
    assert psnr_db(decoded.pixels, on_white(as_rgb(shown), (samples != key).astype(float))) > 50
    assert decoded.flattened


@pytest.mark.parametrize("bits", [8, 16])
def test_one_transparent_colour(bits: int) -> None:
    samples = (DEEP if bits == 16 else SCENE).copy()
    samples[4:9, 10:20] = (1234, 5678, 91) if bits == 16 else (12, 34, 56)
    data = png_of(samples, bits, png_chunk(b"tRNS", struct.pack(">3H", *samples[4, 10].tolist())))
    opacity = np.ones((HEIGHT, WIDTH))
    opacity[4:9, 10:20] = 0
    assert psnr_db(read(data).pixels, on_white(SCENE, opacity)) > 50


@pytest.mark.parametrize("is_gray", [False, True])
def test_alpha_of_16_bits(is_gray: bool) -> None:
    opacity = np.broadcast_to(np.linspace(0, 65535, WIDTH).astype(np.uint16), (HEIGHT, WIDTH))
    samples = np.dstack([DEEP_GRAY if is_gray else DEEP, opacity])
    shown = as_rgb(GRAY) if is_gray else SCENE
    assert psnr_db(read(png_of(samples, 16)).pixels, on_white(shown, opacity / 65535)) > 50


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_with_opacities(bits: int) -> None:
    indices = (GRAY >> (8 - bits)).astype(np.uint8)
    colours = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3), np.uint8)
    opacities = np.linspace(0, 255, 1 << bits).astype(np.uint8)
    chunks = png_chunk(b"PLTE", colours.tobytes()), png_chunk(b"tRNS", opacities.tobytes())
    decoded = read(png_of(indices, bits, *chunks, colour_type=3))
    assert psnr_db(decoded.pixels, on_white(colours[indices], opacities[indices] / 255)) > 50


# --- pages, damage, blemishes ---


def test_an_animation_is_named_and_a_still_with_its_chunk_is_not() -> None:
    control = png_chunk(b"acTL", struct.pack(">II", 3, 0))
    frame = png_chunk(b"fcTL", struct.pack(">5I2H2B", 0, WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0))
    with pytest.raises(IncompleteFile, match="it holds 3 frames"):
        read(png_of(SCENE, 8, control, frame))
    assert np.array_equal(read(png_of(SCENE, 8, control, frame), ReadOptions(first_page=True)).pixels, SCENE)
    still = png_chunk(b"acTL", struct.pack(">II", 1, 0))
    assert np.array_equal(read(png_of(SCENE, 8, still, frame)).pixels, SCENE)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000))),
        png_chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000),
        png_chunk(b"tEXt", b"Comment\0text", is_whole=False),
        png_chunk(b"prVt", b"private", is_whole=False),
        profile_chunk(bytes(imagecodecs.cms_profile("srgb")) + np.random.default_rng(0).bytes(1_300_000)),
    ],
    ids=["zTXt of 3 MB", "tEXt of 3 MB", "checksum of a text", "checksum of a private chunk", "iCCP of 1.3 MB"],
)
def test_what_is_no_part_of_the_picture_does_no_harm(chunk: bytes) -> None:
    assert psnr_db(read(png_of(SCENE, 8, chunk)).pixels, SCENE) > 45


def test_a_missing_end_is_no_damage() -> None:
    data = png_of(SCENE, 8)
    assert np.array_equal(read(data[:-12]).pixels, SCENE)
    assert np.array_equal(read(data + b"behind the end").pixels, SCENE)


@pytest.mark.parametrize("bits", [8, 16])
def test_damaged_data_is_named(bits: int) -> None:
    data = png_of(DEEP if bits == 16 else SCENE, bits)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 4
    for damaged in (bytes(flipped), data[: len(data) // 2], data[: len(data) // 2] + data[-12:]):
        with pytest.raises(DamagedFile):
            read(damaged)


def test_half_a_picture_is_kept_if_wanted() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in SCENE[: HEIGHT // 2])
    data = png_of(SCENE, 8)
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    half = data[:start] + png_chunk(b"IDAT", zlib.compress(rows)) + data[end:]
    with pytest.raises(DamagedFile, match="ends early"):
        read(half)
    decoded = read(half, ReadOptions(accept_damaged=True))
    assert np.array_equal(decoded.pixels[: HEIGHT // 2], SCENE[: HEIGHT // 2])
    assert decoded.notes == ("it is damaged: its picture data ends early",)


def test_a_header_that_png_does_not_allow() -> None:
    data = bytearray(png_of(SCENE, 8))
    data[24] = 5
    with pytest.raises(BadFile):
        read(bytes(data))
