"""Folder of files <-> pixels: every kind of file becomes upright, opaque sRGB, and every bad one a clear line."""

import io
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import ImageFolderError, InvalidSetting, OutputError
from unicorn_codec.format.limits import MAX_SIDE
from unicorn_codec.pictures.picture_folder import folder_digest, list_folder, read_picture
from unicorn_codec.pictures.picture_writing import WRITE_FORMATS, write_format, write_picture
from unicorn_codec.pictures.pixels import to_image

PLAIN = ReadOptions(background=(255, 255, 255))


def smooth_picture(width: int = 48, height: int = 32) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def read_only_picture(folder: Path, options: ReadOptions = PLAIN) -> np.ndarray:
    listed = list_folder(folder, options)
    (picture,) = listed.pictures
    return read_picture(listed, picture, options)


def read_bytes(folder: Path, name: str, data: bytes, options: ReadOptions = PLAIN) -> np.ndarray:
    folder.joinpath(name).write_bytes(data)
    return read_only_picture(folder, options)


def png(width: int, height: int, depth: int, color_type: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of kinds that Pillow cannot write; ``rows`` each begin with filter byte 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


# --- kinds of files ---


@pytest.mark.parametrize(
    ("name", "kind", "settings", "tolerance"),
    [
        ("a.png", "PNG", {}, 0),
        ("a.BMP", "BMP", {}, 0),
        ("a.tif", "TIFF", {}, 0),
        ("a.tiff", "TIFF", {"compression": "tiff_lzw"}, 0),
        ("a.webp", "WEBP", {"lossless": True}, 0),
        ("a.avif", "AVIF", {"quality": 95}, 12),
        ("a.jpg", "JPEG", {"quality": 98, "subsampling": 0}, 8),
        ("a.JPEG", "JPEG", {"quality": 98, "subsampling": 0, "progressive": True}, 8),
        ("really-a-png.jpg", "PNG", {}, 0),
    ],
)
def test_every_format_comes_back(
    tmp_path: Path, name: str, kind: str, settings: dict[str, object], tolerance: int
) -> None:
    pixels = smooth_picture()
    back = read_bytes(tmp_path, name, encoded(Image.fromarray(pixels), kind, **settings))
    assert back.dtype == np.uint8
    assert back.shape == (32, 48, 3)
    assert np.abs(back.astype(int) - pixels).max() <= tolerance


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP", "AVIF"])
def test_several_frames_are_named_or_the_first_is_kept_if_wanted(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "lime", "blue")]
    settings = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **settings)
    tmp_path.joinpath(f"a.{kind.lower()}").write_bytes(data)
    with pytest.raises(ImageFolderError, match=rf"a\.{kind.lower()}: it holds 3 (frame|page)s; 2 would be lost"):
        list_folder(tmp_path, PLAIN)
    options = ReadOptions(first_page=True)
    assert np.abs(read_only_picture(tmp_path, options).astype(int) - (255, 0, 0)).max() < 3
    (note,) = list_folder(tmp_path, options).notes
    assert note.name == f"a.{kind.lower()}" and "2 were left out" in note.text


def test_mpo_of_two_photographs_is_named(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (32, 32), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (32, 32))])
    tmp_path.joinpath("a.jpg").write_bytes(data)
    with pytest.raises(ImageFolderError, match="it holds 2 pictures; 1 would be lost"):
        list_folder(tmp_path, PLAIN)
    kept = read_only_picture(tmp_path, ReadOptions(first_page=True))
    assert np.abs(kept.astype(int) - (255, 0, 0)).max() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_all_eight_orientations(tmp_path: Path, kind: str, orientation: int) -> None:
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = 255  # the stored top left corner
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored[::-1].transpose(1, 0, 2),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: stored[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    every: dict[str, dict[str, object]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    settings = every.get(kind, {})
    back = read_bytes(tmp_path, f"a.{kind.lower()}", encoded(Image.fromarray(stored), kind, exif=exif, **settings))
    assert back.shape == upright.shape
    assert np.abs(back.astype(int) - upright).max() <= 10
    (picture,) = list_folder(tmp_path, PLAIN).pictures
    assert (picture.height, picture.width) == upright.shape[:2]


def test_broken_exif_costs_only_itself(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(smooth_picture()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(read_bytes(tmp_path, "a.png", data), smooth_picture())


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_scaled_and_not_clipped(tmp_path: Path, kind: str) -> None:
    wide = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    back = read_bytes(tmp_path, f"a.{kind.lower()}", encoded(Image.fromarray(wide), kind))
    assert np.array_equal(back, np.repeat(np.arange(256).reshape(16, 16, 1), 3, axis=2))


def test_sixteen_bit_rgb(tmp_path: Path) -> None:
    row = np.array([[0, 0x8000, 0xFFFF], [0x1234, 0x4000, 0xC000]], ">u2").tobytes()
    back = read_bytes(tmp_path, "a.png", png(2, 1, 16, 2, b"\0" + row))
    assert np.abs(back[0].astype(int) - [[0, 128, 255], [0x12, 0x40, 0xC0]]).max() <= 1


def test_sixteen_bit_gray_with_a_transparent_value(tmp_path: Path) -> None:
    row = np.array([0, 0x8000, 0x8001, 0xFFFF], ">u2").tobytes()
    data = png(4, 1, 16, 0, b"\0" + row, (b"tRNS", b"\x80\x00"))
    back = read_bytes(tmp_path, "a.png", data, ReadOptions(background=(9, 8, 7)))
    assert back[0].tolist() == [[0, 0, 0], [9, 8, 7], [128, 128, 128], [255, 255, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[-1000, 0, 1000]], np.int32), [0, 128, 255]),
        (np.array([[70000, 70000, 70000]], np.int32), [0, 0, 0]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 500, 1000]], np.float32), [0, 128, 255]),
    ],
)
def test_wide_scientific_values(tmp_path: Path, values: np.ndarray, expected: list[int]) -> None:
    assert read_bytes(tmp_path, "a.tif", encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == expected


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("a.tif").write_bytes(encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"))
    with pytest.raises(ImageFolderError, match=r"a\.tif: some of its values are not finite"):
        list_folder(tmp_path, PLAIN)


def test_gray_palette_and_bilevel(tmp_path: Path) -> None:
    gray = smooth_picture()[:, :, 0]
    for name, image in {
        "gray": Image.fromarray(gray),
        "bits": Image.fromarray(gray).point(lambda v: 255 * (v > 127)).convert("1"),
        "palette": Image.fromarray(smooth_picture()).quantize(64),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        back = read_bytes(folder, "a.png", encoded(image, "PNG"))
        assert np.array_equal(back, np.asarray(image.convert("RGB"))), name


# --- transparency ---


def half_clear(mode: str) -> Image.Image:
    image = Image.new("RGBA", (8, 4), (255, 0, 0, 255) if mode != "LA" else (80, 80, 80, 255))
    image.paste((0, 0, 0, 0), (4, 0, 8, 4))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_lies_on_the_background(tmp_path: Path, mode: str) -> None:
    kind = "TIFF" if mode == "PA" else "PNG"
    tmp_path.joinpath(f"a.{kind.lower()}").write_bytes(encoded(half_clear(mode), kind))
    options = ReadOptions(background=(0, 128, 255))
    back = read_only_picture(tmp_path, options)
    assert (back[:, :4] == ((80, 80, 80) if mode == "LA" else (255, 0, 0))).all()
    assert (back[:, 4:] == (0, 128, 255)).all()
    assert list_folder(tmp_path, options).flattened == 1


def test_half_transparent_pixels_mix(tmp_path: Path) -> None:
    data = encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 51)), "PNG")
    assert (read_bytes(tmp_path, "a.png", data) == 204).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_entry(tmp_path: Path, kind: str) -> None:
    image = Image.new("P", (8, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 20])
    image.paste(0, (4, 0, 8, 4))
    back = read_bytes(tmp_path, f"a.{kind.lower()}", encoded(image, kind, transparency=0))
    assert (back[:, :4] == (200, 10, 20)).all()
    assert (back[:, 4:] == 255).all()


def test_an_opaque_alpha_channel_is_not_counted(tmp_path: Path) -> None:
    tmp_path.joinpath("a.png").write_bytes(encoded(Image.new("RGBA", (4, 4), "red"), "PNG"))
    assert list_folder(tmp_path, PLAIN).flattened == 0


# --- colour ---


def linear_profile() -> bytes:
    """sRGB's colours with a straight tone curve: middle values come out much lighter in sRGB."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    straight = b"curv\0\0\0\0\0\0\0\0"
    for entry in range(struct.unpack_from(">I", data, 128)[0]):
        name, offset, _ = struct.unpack_from(">4sII", data, 132 + 12 * entry)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + 12] = straight
            struct.pack_into(">I", data, 132 + 12 * entry + 8, 12)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_colour_profile_is_converted(tmp_path: Path, kind: str) -> None:
    data = encoded(Image.new("RGB", (16, 16), (55, 55, 55)), kind, icc_profile=linear_profile())
    back = read_bytes(tmp_path, f"a.{kind.lower()}", data)
    assert np.abs(back.astype(int) - 128).max() <= 3  # 55 / 255 linear is 128 / 255 in sRGB


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(Image.fromarray(smooth_picture()), "PNG", icc_profile=profile)
    assert np.abs(read_bytes(tmp_path, "a.png", data).astype(int) - smooth_picture()).max() <= 1


def test_rgb_profile_on_a_gray_picture_and_under_transparency(tmp_path: Path) -> None:
    gray = encoded(Image.new("L", (4, 4), 55), "PNG", icc_profile=linear_profile())
    assert np.abs(read_bytes(tmp_path, "a.png", gray).astype(int) - 128).max() <= 1
    clear = Image.new("RGBA", (8, 4), (55, 55, 55, 255))
    clear.paste((0, 0, 0, 0), (4, 0, 8, 4))
    options = ReadOptions(background=(55, 55, 55))  # sRGB already: not converted
    back = read_bytes(tmp_path, "a.png", encoded(clear, "PNG", icc_profile=linear_profile()), options)
    assert np.abs(back[:, :4].astype(int) - 128).max() <= 1
    assert (back[:, 4:] == 55).all()


@pytest.mark.parametrize("profile", [b"no profile at all", linear_profile()[:200], b"\0" * 128])
def test_broken_profile_is_ignored(tmp_path: Path, profile: bytes) -> None:
    data = encoded(Image.fromarray(smooth_picture()), "PNG", icc_profile=profile)
    assert np.array_equal(read_bytes(tmp_path, "a.png", data), smooth_picture())


def test_profile_of_another_colour_space_is_ignored(tmp_path: Path) -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    data = encoded(cmyk, "JPEG", quality=95, icc_profile=linear_profile())
    assert np.abs(read_bytes(tmp_path, "a.jpg", data).astype(int) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(tmp_path: Path, kind: str) -> None:
    data = encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), kind)
    assert np.abs(read_bytes(tmp_path, f"a.{kind.lower()}", data).astype(int) - (0, 255, 255)).max() <= 4


def test_lab(tmp_path: Path) -> None:
    data = encoded(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")
    assert (read_bytes(tmp_path, "a.tif", data) > 250).all()


# --- size ---


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((300, 200), 0, (300, 200)),
        ((300, 200), 300, (300, 200)),
        ((300, 200), 400, (300, 200)),
        ((300, 200), 100, (100, 67)),
        ((200, 301), 100, (66, 100)),
        ((3000, 2), 10, (10, 1)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_max_side_only_ever_shrinks(
    tmp_path: Path, size: tuple[int, int], max_side: int, expected: tuple[int, int]
) -> None:
    tmp_path.joinpath("a.png").write_bytes(encoded(Image.new("RGB", size, "red"), "PNG"))
    options = ReadOptions(max_side=max_side)
    listed = list_folder(tmp_path, options)
    assert (listed.pictures[0].width, listed.pictures[0].height) == expected
    assert listed.scaled == (size != expected)
    assert read_picture(listed, listed.pictures[0], options).shape == (expected[1], expected[0], 3)


def test_scaling_is_lanczos(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(smooth_picture(64, 64)), "PNG")
    expected = Image.fromarray(smooth_picture(64, 64)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(read_bytes(tmp_path, "a.png", data, ReadOptions(max_side=16)), np.asarray(expected))


def test_absurd_size_is_refused_by_the_header_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("bomb.png").write_bytes(png(60000, 60000, 8, 2, b""))
    with pytest.raises(ImageFolderError, match=r"bomb\.png: it claims 60000x60000 pixels"):
        list_folder(tmp_path, PLAIN)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # the limit is ours, not only Pillow's
    with pytest.raises(ImageFolderError, match=r"bomb\.png: it claims 60000x60000 pixels; 134217728 are allowed"):
        list_folder(tmp_path, PLAIN)


def test_side_that_no_archive_can_hold(tmp_path: Path) -> None:
    tmp_path.joinpath("a.png").write_bytes(encoded(Image.new("L", (MAX_SIDE + 1, 1)), "PNG"))
    with pytest.raises(ImageFolderError, match=f"{MAX_SIDE + 1}x1 pixels; sides up to {MAX_SIDE}"):
        list_folder(tmp_path, PLAIN)
    assert list_folder(tmp_path, ReadOptions(max_side=100)).pictures[0].width == 100


# --- bad files ---


def damaged_files() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    kinds = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "tif": "TIFF", "bmp": "BMP", "gif": "GIF"}
    whole = {suffix: encoded(noise, kind) for suffix, kind in kinds.items()}
    files = {f"half.{suffix}": data[: len(data) // 2] for suffix, data in whole.items()}
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(noise, "JPEG", exif=exif)
    files["half-turned.jpg"] = turned[: len(turned) // 2]
    files |= {f"head.{suffix}": data[:30] for suffix, data in whole.items()}
    return files | {
        "empty.png": b"",
        "text.jpg": b"hello",
        "script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }


@pytest.mark.parametrize("name", damaged_files())
def test_damaged_file_stops_the_listing_or_is_skipped(tmp_path: Path, name: str) -> None:
    tmp_path.joinpath(name).write_bytes(damaged_files()[name])
    tmp_path.joinpath("whole.png").write_bytes(encoded(Image.fromarray(smooth_picture()), "PNG"))
    with pytest.raises(ImageFolderError, match=f"1 of its files cannot be read\n  {name}: "):
        list_folder(tmp_path, PLAIN)
    listed = list_folder(tmp_path, ReadOptions(skip_unreadable=True))
    assert [p.name for p in listed.pictures] == ["whole.png"]
    assert [s.name for s in listed.left_out] == [name]
    assert listed.left_out[0].reason


def test_all_bad_files_are_named_up_to_a_limit(tmp_path: Path) -> None:
    for number in range(25):
        tmp_path.joinpath(f"bad-{number:02d}.png").write_bytes(b"x")
    with pytest.raises(ImageFolderError) as caught:
        list_folder(tmp_path, PLAIN)
    message = str(caught.value)
    assert "25 of its files" in message
    assert "bad-19.png" in message
    assert "bad-20.png" not in message
    assert "and 5 more" in message


def test_nothing_left_after_skipping_is_an_error(tmp_path: Path) -> None:
    tmp_path.joinpath("a.png").write_bytes(b"x")
    with pytest.raises(ImageFolderError, match=r"a\.png"):
        list_folder(tmp_path, ReadOptions(skip_unreadable=True))


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageFolderError, match="there is no folder"):
        list_folder(tmp_path / "missing", PLAIN)
    with pytest.raises(ImageFolderError, match=r"holds no pictures .*0 other files"):
        list_folder(tmp_path, PLAIN)
    tmp_path.joinpath("notes.txt").write_text("hello")
    with pytest.raises(ImageFolderError, match="1 other files"):
        list_folder(tmp_path, PLAIN)
    with pytest.raises(ImageFolderError, match="is not a folder"):
        list_folder(tmp_path / "notes.txt", PLAIN)


# --- the folder ---


def fill(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_bytes(encoded(Image.new("RGB", (4 + number, 4), (number, 0, 0)), "PNG"))


def test_listing_reports_progress_sizes_and_order(tmp_path: Path) -> None:
    fill(tmp_path, "b.png", "a/z.png", "é.png", "Z.png")
    seen: list[tuple[int, int]] = []
    listed = list_folder(tmp_path, PLAIN, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(p.name, p.width) for p in listed.pictures] == [("Z.png", 7), ("a/z.png", 5), ("b.png", 4), ("é.png", 6)]
    assert listed.root == tmp_path
    assert not listed.left_out


def test_file_that_changed_or_vanished_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png")
    listed = list_folder(tmp_path, PLAIN)
    before = tmp_path.joinpath("a.png").stat()
    data = bytearray(tmp_path.joinpath("a.png").read_bytes())
    data[-1] ^= 1
    tmp_path.joinpath("a.png").write_bytes(data)
    os.utime(tmp_path / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time
    tmp_path.joinpath("b.png").unlink()
    with pytest.raises(ImageFolderError, match=r"a\.png: it changed since"):
        read_picture(listed, listed.pictures[0], PLAIN)
    with pytest.raises(ImageFolderError, match=r"b\.png: no such file"):
        read_picture(listed, listed.pictures[1], PLAIN)


def test_digest_follows_names_bytes_and_options(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png")
    first = folder_digest(list_folder(tmp_path, PLAIN), PLAIN)
    assert first == folder_digest(list_folder(tmp_path, PLAIN), PLAIN)
    assert first == folder_digest(list_folder(tmp_path, PLAIN), replace(PLAIN, skip_unreadable=True))
    digests = {first}
    for options in (ReadOptions(max_side=9), ReadOptions(background=(0, 0, 0))):
        digests.add(folder_digest(list_folder(tmp_path, options), options))
    tmp_path.joinpath("a.png").rename(tmp_path / "c.png")
    digests.add(folder_digest(list_folder(tmp_path, PLAIN), PLAIN))
    tmp_path.joinpath("c.png").write_bytes(tmp_path.joinpath("b.png").read_bytes())
    digests.add(folder_digest(list_folder(tmp_path, PLAIN), PLAIN))
    assert len(digests) == 5


# --- writing ---


@pytest.mark.parametrize("suffix", [*WRITE_FORMATS, ".PNG", ""])
def test_written_pictures_come_back(tmp_path: Path, suffix: str) -> None:
    pixels = smooth_picture()
    path = tmp_path / f"a{suffix}"
    write_picture(pixels, path)
    with Image.open(path) as image:
        assert image.format == WRITE_FORMATS[suffix.lower() or ".png"][0]
        back = np.asarray(image.convert("RGB")).astype(int)
    tolerance = 12 if suffix in (".jpg", ".jpeg", ".avif") else 0
    assert np.abs(back - pixels).max() <= tolerance
    assert os.listdir(tmp_path) == [path.name]


def test_jpeg_keeps_full_colour_resolution(tmp_path: Path) -> None:
    write_picture(smooth_picture(), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert [layer[1:3] for layer in getattr(image, "layer")] == [(1, 1)] * 3  # noqa: B009


def test_existing_output_is_kept_unless_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        write_picture(smooth_picture(), path)
    assert path.read_text() == "precious"
    write_picture(smooth_picture(), path, overwrite=True)
    assert np.array_equal(read_only_picture(tmp_path), smooth_picture())


def test_overwriting_a_link_leaves_its_target_alone(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.txt"
    target.write_text("precious")
    tmp_path.joinpath("a.png").symlink_to(target)
    with pytest.raises(OutputError, match="exists already"):
        write_picture(smooth_picture(), tmp_path / "a.png")
    write_picture(smooth_picture(), tmp_path / "a.png", overwrite=True)
    assert target.read_text() == "precious"
    assert not tmp_path.joinpath("a.png").is_symlink()


def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    tmp_path.joinpath("a.png").write_text("precious")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="no space left on device"):
        write_picture(smooth_picture(), tmp_path / "a.png", overwrite=True)
    assert os.listdir(tmp_path) == ["a.png"]
    assert tmp_path.joinpath("a.png").read_text() == "precious"


def test_write_errors(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        write_picture(smooth_picture(), tmp_path / "missing" / "a.png")
    tmp_path.joinpath("folder.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_picture(smooth_picture(), tmp_path / "folder.png", overwrite=True)
    with pytest.raises(OutputError, match="20000x1 pixels cannot be written as WEBP"):
        write_picture(np.zeros((1, 20000, 3), np.uint8), tmp_path / "a.webp")
    for suffix in (".gif", ".xyz", ".png2"):
        with pytest.raises(InvalidSetting, match=r"\.png \.jpg .*\.bmp, not"):
            write_format(suffix)
        with pytest.raises(InvalidSetting):
            write_picture(smooth_picture(), tmp_path / f"a{suffix}")


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    tmp_path.joinpath("plain.txt").write_text("")
    write_picture(smooth_picture(), tmp_path / "a.png")
    assert tmp_path.joinpath("a.png").stat().st_mode == tmp_path.joinpath("plain.txt").stat().st_mode


def test_to_image() -> None:
    image = to_image(smooth_picture())
    assert image.mode == "RGB"
    assert image.size == (48, 32)
