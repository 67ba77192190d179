"""TIFF in every layout that writers use: each comes back as libtiff's tools show it, or is named."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.picture_writers import (
    ADOBE_PRIMARIES,
    BT2020_PRIMARIES,
    GRAY,
    HEIGHT,
    ON_WHITE,
    OPACITY,
    SCENE,
    SRGB_PRIMARIES,
    WIDTH,
    as_rgb,
    light_in,
    on_white,
    packed_bits,
    psnr_db,
    scene,
    srgb_curve,
    srgb_light,
    tiff_of,
    tiff_page,
    to_xyz,
)
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile, IncompleteFile
from unicorn_codec.pictures.reading import Decoded, decode_picture

DEEP, DEEP_GRAY = SCENE.astype(np.uint16) * 257, GRAY.astype(np.uint16) * 257
INK = np.dstack([255 - SCENE, 0 * GRAY])
ALPHA = np.rint(OPACITY * 255).astype(np.uint8)
STRAIGHT, MULTIPLIED = {338: (3, [2])}, {338: (3, [1])}
FIRST_PAGE, ANY_DAMAGE = ReadOptions(first_page=True), ReadOptions(accept_damaged=True)


def read(data: bytes, options: ReadOptions | None = None) -> Decoded:
    return decode_picture(data, options or ON_WHITE)


def shows(data: bytes, expected: np.ndarray, options: ReadOptions | None = None) -> bool:
    return psnr_db(read(data, options).pixels, expected) >= 45


def saved(image: Image.Image, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", **settings)
    return buffer.getvalue()


# --- layouts and depths ---


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_rgb(order: str, planar: bool, bits: int) -> None:
    samples = SCENE.astype(np.uint64) * (((1 << bits) - 1) // 255)
    assert shows(tiff_of(tiff_page(samples, 2, bits, planar=planar, order=order), order=order), SCENE)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_gray_with_white_at_either_end(order: str, photometric: int, bits: int) -> None:
    samples = GRAY.astype(np.uint64) * (((1 << bits) - 1) // 255)
    stored = samples if photometric else ((1 << bits) - 1) - samples
    data = tiff_of(tiff_page(stored, photometric, bits, order=order), order=order)
    assert shows(data, as_rgb(GRAY))


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_gray_of_odd_depths(photometric: int, bits: int) -> None:
    top = (1 << bits) - 1
    samples = np.rint(GRAY.astype(float) * top / 255).astype(int)
    stored = samples if photometric else top - samples
    data = tiff_of(tiff_page(GRAY, photometric, bits, data=packed_bits(stored, bits)))
    assert shows(data, as_rgb(np.rint(samples * 255 / top).astype(np.uint8)))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_rgb_of_odd_depths(bits: int) -> None:
    samples = np.rint(SCENE.astype(float) * ((1 << bits) - 1) / 255).astype(int)
    assert shows(tiff_of(tiff_page(SCENE, 2, bits, data=packed_bits(samples, bits))), SCENE)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_floating_point_colours_are_linear_light(bits: int) -> None:
    assert shows(tiff_of(tiff_page(srgb_light(SCENE / 255), 2, bits, 3)), SCENE)


def test_half_precision_gray_is_linear_light_and_other_gray_is_values() -> None:
    assert shows(tiff_of(tiff_page(srgb_light(GRAY / 255), 1, 16, 3)), as_rgb(GRAY))
    for bits in (32, 64):
        assert shows(tiff_of(tiff_page(GRAY / 255, 1, bits, 3)), as_rgb(GRAY))


def test_floating_point_colours_that_name_their_primaries_are_values() -> None:
    tenths = [round(10000 * v) for point in SRGB_PRIMARIES for v in point]
    tags = {318: (5, [3127, 10000, 3290, 10000]), 319: (5, [v for t in tenths for v in (t, 10000)])}
    assert shows(tiff_of(tiff_page(SCENE / 255, 2, 32, 3, tags=tags)), SCENE)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_8_bit_values_in_a_wider_type(mode: str) -> None:
    """As Pillow writes an 8-bit picture that was converted to such a mode."""
    decoded = read(saved(Image.fromarray(GRAY).convert(mode)))
    assert np.array_equal(decoded.pixels, as_rgb(GRAY))
    assert "8 bits" in decoded.notes[0]
    assert np.array_equal(read(tiff_of(tiff_page(SCENE, 2, 32, 3))).pixels, SCENE)


def test_primaries_without_a_profile() -> None:
    tenths = [round(10000 * v) for point in BT2020_PRIMARIES for v in point]
    tags = {318: (5, [3127, 10000, 3290, 10000]), 319: (5, [v for t in tenths for v in (t, 10000)])}
    stored = np.rint(srgb_curve(light_in(BT2020_PRIMARIES)) * 65535)
    assert shows(tiff_of(tiff_page(stored, 2, 16, tags=tags)), SCENE)


def test_adobe_rgb_by_exif() -> None:
    """Tags of EXIF and interoperability behind the picture, as cameras write them."""
    stored = np.rint(255 * light_in(ADOBE_PRIMARIES) ** (1 / 2.2))
    data = bytearray(tiff_of(tiff_page(stored, 2, tags={34665: (4, [0xABCDEF])})))
    place = data.index((0xABCDEF).to_bytes(4, "little"))
    struct.pack_into("<I", data, place, len(data))
    data += struct.pack("<HHHIHHHHIII", 2, 0xA001, 3, 1, 0xFFFF, 0, 0xA005, 4, 1, len(data) + 30, 0)
    data += struct.pack("<HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    assert psnr_db(read(bytes(data)).pixels, SCENE) > 40


def test_light_beyond_white_is_rolled_off_and_told() -> None:
    light = 3 * srgb_light(SCENE / 255)
    decoded = read(tiff_of(tiff_page(light, 2, 32, 3)))
    assert "high dynamic range" in decoded.notes[0]
    brightest, shown = light.max(axis=2), decoded.pixels.max(axis=2)
    assert shown[brightest > 0.98 * brightest.max()].min() > 245
    assert len(np.unique(shown[brightest > 1])) > 10
    dark = brightest < 0.7
    assert psnr_db(decoded.pixels[dark], np.rint(255 * srgb_curve(light[dark])).astype(np.uint8)) > 45


# --- colour models ---


def lab_of(shown: np.ndarray, white: tuple[float, float]) -> np.ndarray:
    """L*, a*, b* of sRGB colours, adapted to a white by Bradford."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    source, target = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in ((0.3127, 0.3290), white))
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ target) / (bradford @ source)) @ bradford
    ratios = srgb_light(shown / 255) @ (adapt @ to_xyz(SRGB_PRIMARIES)).T / target
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


D50, D65 = (0.3457, 0.3585), (0.3127, 0.3290)


@pytest.mark.parametrize(
    ("photometric", "bits", "scale"),
    [(8, 8, (2.55, 1, 0)), (8, 16, (655.35, 256, 0)), (9, 8, (2.55, 1, 128)), (9, 16, (652.8, 256, 128 * 256))],
)
def test_lab_of_cie_and_icc(photometric: int, bits: int, scale: tuple[float, float, float]) -> None:
    lab = lab_of(SCENE, D50)
    stored = np.rint(np.dstack([lab[..., :1] * scale[0], lab[..., 1:] * scale[1] + scale[2]])).astype(int)
    decoded = read(tiff_of(tiff_page(stored & ((1 << bits) - 1), photometric, bits)))
    assert psnr_db(decoded.pixels, SCENE) > (42 if bits == 8 else 50)


def test_lab_of_another_white() -> None:
    lab = lab_of(SCENE, D65)
    stored = np.rint(np.dstack([lab[..., :1] * 655.35, lab[..., 1:] * 256])).astype(int) & 65535
    assert shows(tiff_of(tiff_page(stored, 8, 16, tags={318: (5, [3127, 10000, 3290, 10000])})), SCENE)


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_with_and_without_alpha(bits: int) -> None:
    unit = ((1 << bits) - 1) // 255
    assert shows(tiff_of(tiff_page(INK.astype(int) * unit, 5, bits)), SCENE)
    layered = np.dstack([INK, ALPHA]).astype(int) * unit
    assert shows(tiff_of(tiff_page(layered, 5, bits, tags=STRAIGHT)), on_white(SCENE, ALPHA / 255))


def test_inks_that_are_not_cmyk_are_refused() -> None:
    with pytest.raises(BadFile, match="other inks than CMYK"):
        read(tiff_of(tiff_page(INK, 5, tags={332: (3, [2])})))


def test_ycbcr_with_subsampling() -> None:
    """Blocks of 2x2 lightnesses and one pair of colours, as libtiff's tools write them."""
    tone = np.repeat(np.repeat(np.asarray(Image.fromarray(SCENE).convert("YCbCr"))[::2, ::2], 2, 0), 2, 1)
    blocks = tone.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).swapaxes(1, 2)
    data = np.concatenate([blocks[..., 0].reshape(HEIGHT // 2, -1, 4), blocks[:, :, 0, 0, 1:]], axis=2).tobytes()
    tags = {530: (3, [2, 2]), 532: (5, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])}
    decoded = read(tiff_of(tiff_page(SCENE, 6, tags=tags, data=data)))
    assert psnr_db(decoded.pixels, np.asarray(Image.fromarray(tone, "YCbCr").convert("RGB"))) > 40


@pytest.mark.parametrize("unit", [1, 256, 257])
def test_palettes_of_8_and_16_bits(unit: int) -> None:
    quantized = Image.fromarray(SCENE).quantize(64, dither=Image.Dither.NONE)
    indices, colours = np.asarray(quantized), np.zeros((256, 3), int)
    listed = np.asarray(quantized.getpalette("RGB")).reshape(-1, 3)
    colours[: len(listed)] = listed
    data = tiff_of(tiff_page(indices, 3, tags={320: (3, (colours.T * unit).ravel().tolist())}))
    assert np.array_equal(read(data).pixels, colours[indices])


# --- transparency ---


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("is_gray", [False, True])
def test_straight_and_premultiplied_alpha(bits: int, is_gray: bool) -> None:
    unit, shown = ((1 << bits) - 1) // 255, as_rgb(GRAY) if is_gray else SCENE
    colours = (GRAY[..., None] if is_gray else SCENE).astype(float)
    expected = on_white(shown, ALPHA / 255)
    for tags, stored in ((STRAIGHT, colours), (MULTIPLIED, np.rint(colours * ALPHA[..., None] / 255))):
        layered = np.dstack([stored, ALPHA]) * unit
        assert shows(tiff_of(tiff_page(layered, 1 if is_gray else 2, bits, tags=tags)), expected)


def test_a_fourth_sample_of_which_nothing_is_said_is_opacity() -> None:
    expected = on_white(SCENE, ALPHA / 255)
    assert shows(tiff_of(tiff_page(np.dstack([SCENE, ALPHA]), 2)), expected)
    multiplied = np.rint(SCENE * (ALPHA[..., None] / 255))
    assert shows(tiff_of(tiff_page(np.dstack([multiplied, ALPHA]), 2, tags={338: (3, [0])})), expected)


# --- pages ---

SMALL = np.asarray(Image.fromarray(SCENE).resize((12, 8)))


@pytest.mark.parametrize("tags", [{254: (4, [1])}, {255: (3, [2])}, {254: (4, [4])}], ids=["reduced", "old", "mask"])
def test_the_full_size_page_is_taken(tags: dict[int, tuple[int, list[int]]]) -> None:
    other = tiff_page(SMALL, 2, tags=tags)
    for pages in ((other, tiff_page(SCENE, 2)), (tiff_page(SCENE, 2), other)):
        decoded = read(tiff_of(*pages))
        assert np.array_equal(decoded.pixels, SCENE) and not decoded.notes


def test_the_full_size_page_below_a_thumbnail_is_taken() -> None:
    thumbnail = tiff_page(SMALL, 2, tags={254: (4, [1])})
    assert np.array_equal(read(tiff_of(thumbnail, below_first=tiff_page(SCENE, 2))).pixels, SCENE)


def test_several_pages_are_named_or_the_first_is_kept_if_wanted() -> None:
    data = tiff_of(tiff_page(SCENE, 2), tiff_page(scene(1), 2), tiff_page(SMALL, 2, tags={254: (4, [1])}))
    with pytest.raises(IncompleteFile, match="it holds 2 pages; 1 would be lost"):
        read(data)
    decoded = read(data, FIRST_PAGE)
    assert np.array_equal(decoded.pixels, SCENE)
    assert decoded.notes == ("it holds 2 pages; 1 were left out",)


def test_imagej_stacks_are_named() -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([GRAY, GRAY // 2, GRAY // 3]), imagej=True)
    data = bytearray(buffer.getvalue())
    with pytest.raises(IncompleteFile, match="3"):
        read(bytes(data))


@pytest.mark.parametrize("tags", [{50706: (1, [1, 4, 0, 0])}, {}])
def test_a_camera_raw_is_not_taken_for_its_thumbnail(tags: dict[int, tuple[int, list[int]]]) -> None:
    sensor = tiff_page(DEEP_GRAY, 32803, 16, tags={33421: (3, [2, 2]), 33422: (1, [0, 1, 1, 2])})
    thumbnail = tiff_page(SMALL, 2, tags={254: (4, [1]), **tags})
    data = tiff_of(thumbnail, below_first=sensor)
    try:
        decoded = read(data)
    except BadFile as error:
        assert "raw" in str(error)
    else:
        assert decoded.pixels.shape != SMALL.shape and "camera raw" in decoded.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["strips", "fallback"])
def test_orientations(orientation: int, kind: str) -> None:
    tags = {274: (3, [orientation])}
    if kind == "fallback":  # what libtiff reads: it would turn the picture by itself
        plain = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        plain[: HEIGHT // 2, : WIDTH // 2, 0] = 235
        blocks = plain[..., 0].reshape(HEIGHT // 2, 2, WIDTH // 2, 2).swapaxes(1, 2).reshape(HEIGHT // 2, -1, 4)
        data = np.concatenate([blocks, np.full((*blocks.shape[:2], 2), 128, np.uint8)], axis=2).tobytes()
        tags |= {530: (3, [2, 2]), 532: (5, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])}
        page, stored = tiff_page(plain, 6, tags=tags, data=data), as_rgb(plain[..., 0])
    else:
        page, stored = tiff_page(SCENE, 2, tags=tags), SCENE
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.transpose(1, 0, 2),
        6: stored[::-1].transpose(1, 0, 2), 7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: stored[:, ::-1].transpose(1, 0, 2),
    }[orientation]  # fmt: skip
    assert shows(tiff_of(page), upright)


# --- damage ---


def place_of_data(data: bytes) -> tuple[int, int]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages[0]
        return page.dataoffsets[0], page.databytecounts[0]


@pytest.mark.parametrize("compression", ["jpeg", "group4", "tiff_lzw", "tiff_deflate", "packbits"])
def test_damage_inside_is_named(compression: str) -> None:
    image = Image.fromarray(scene(0, 160, 120))
    data = saved(image.convert("1") if compression == "group4" else image, compression=compression)
    assert read(data).pixels.shape == (120, 160, 3)
    start, size = place_of_data(data)
    length = min(300, size // 3)
    zeroed = data[: start + size // 2] + bytes(length) + data[start + size // 2 + length :]
    with pytest.raises(DamagedFile):
        read(zeroed)


def test_damage_is_accepted_if_wanted() -> None:
    data = saved(Image.fromarray(scene(0, 160, 120)), compression="jpeg", quality=95)
    start, size = place_of_data(data)
    zeroed = data[: start + size // 2] + bytes(300) + data[start + size // 2 + 300 :]
    decoded = read(zeroed, ANY_DAMAGE)
    assert psnr_db(decoded.pixels[:40], scene(0, 160, 120)[:40]) > 30
    assert decoded.notes[0].startswith("it is damaged: ")


def test_a_file_that_ends_early_is_named() -> None:
    data = tiff_of(tiff_page(SCENE, 2))
    start, size = place_of_data(data)
    with pytest.raises(BadFile):  # the directory is behind the data
        read(data[: start + size // 2])
    header = struct.unpack_from("<I", data, 4)[0]
    moved = data[:4] + struct.pack("<I", 8) + data[header:] + b""
    with pytest.raises(BadFile):
        read(moved)


def test_strips_that_are_missing_are_named() -> None:
    page, strips = tiff_page(SCENE, 2)
    data = bytearray(tiff_of((page, strips)))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        struct.pack_into("<I", data, tiff.pages.first.tags[273].valueoffset, 0)
    with pytest.raises(DamagedFile, match="strips are missing"):
        read(bytes(data))


def test_sizes_are_judged_before_memory_is_taken() -> None:
    page, strips = tiff_page(SCENE, 2)
    page |= {256: (4, [60000]), 257: (4, [60000])}
    with pytest.raises(BadFile, match="60000x60000 pixels"):
        read(tiff_of((page, strips)))
