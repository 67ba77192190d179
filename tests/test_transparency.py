"""Pictures with transparency come back with it, in every way that a picture is stored."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, features

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.decoders.code_decoder import to_gray
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.alpha_plane import MAX_ALPHA_ERROR, is_exact, parse_alpha, serialize_alpha
from unicorn_codec.format.growth import compact
from unicorn_codec.format.records import ALPHA, Part, record_of_code
from unicorn_codec.inspection import describe, describe_picture
from unicorn_codec.metadata import PictureMetadata
from unicorn_codec.network_options import NetworkOptions
from unicorn_codec.packing.add import add
from unicorn_codec.packing.pack import pack, with_background
from unicorn_codec.pictures.metrics import alpha_error, ms_ssim, psnr_db
from unicorn_codec.pictures.picture_folder import list_folder, read_picture, read_with_alpha
from unicorn_codec.pictures.picture_writing import encode_with_metadata
from unicorn_codec.pictures.pixels import Pixels, is_gray
from unicorn_codec.pictures.transparency import WHITE, fill_hidden, flatten, with_alpha
from unicorn_codec.verification import verify

FAST = CodesOptions(target=Target(Goal.STEP, 4.0), effort=0, device="cpu")
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


def disc(width: int = 64, height: int = 48, *, soft: bool = False) -> np.ndarray:
    """Opacity (height, width) of a disc, with a hard or a soft edge."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2) - min(width, height) / 3
    return np.clip(128 - (12 if soft else 999) * distance, 0, 255).astype(np.uint8)


def marked(columns: int) -> np.ndarray:
    """Opacity (64,) of a row whose first columns are opaque."""
    return np.where(np.arange(64) < columns, 255, 0).astype(np.uint8)


def clear(seed: int, opacity: np.ndarray) -> Pixels:
    return with_alpha(draw(seed, *opacity.shape[::-1]), opacity)


def save(pixels: Pixels, path: Path) -> None:
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clear and not")
    save(clear(1, disc()), folder / "hard.png")
    save(clear(2, disc(soft=True)), folder / "soft.png")
    save(with_alpha(to_gray(draw(3, 64, 48)), disc(soft=True)), folder / "gray.png")
    save(draw(4, 64, 48), folder / "opaque.png")
    save(with_alpha(draw(5, 64, 48), np.full((48, 64), 255, np.uint8)), folder / "all opaque.png")
    return folder


@pytest.fixture(scope="module")
def packed(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clear") / "out.uni"
    report = pack(mixed, path, FAST)
    assert (report.transparent, report.flattened) == (3, 0)
    assert report.alpha_bytes == sum(entry["alpha_bytes"] for entry in describe(path, entries=True)["entries"])
    return path


def by_name(path: Path, **settings: Any) -> dict[str, Pixels]:
    with Archive.open(path, device="cpu") as archive:
        return {archive.names[index]: pixels for index, pixels in archive.iterate(archive.indices, **settings)}


# --- planes ---


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 1), (20, 31)])
@pytest.mark.parametrize("kind", ["noise", "ramp", "clear"])
def test_small_planes_are_exact(size: tuple[int, int], kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    ramp = np.add.outer(3 * np.arange(size[0]), 5 * np.arange(size[1])).astype(np.uint8)
    opacity = {"noise": noise, "ramp": ramp, "clear": np.zeros(size, np.uint8)}[kind]
    data = serialize_alpha(opacity)
    assert is_exact(data)
    assert np.array_equal(parse_alpha(data, *size[::-1]), opacity)


def test_a_noisy_plane_keeps_its_ends_and_differs_by_two_levels_at_most() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    data = serialize_alpha(noise)
    found = parse_alpha(data, 100, 100)
    assert not is_exact(data) and len(data) < 0.75 * noise.size
    assert np.abs(found.astype(int) - noise).max() == MAX_ALPHA_ERROR
    assert (found[noise == 0] == 0).all() and (found[noise == 255] == 255).all()


def test_a_large_simple_plane_costs_next_to_nothing() -> None:
    assert len(serialize_alpha(np.zeros((3000, 4000), np.uint8))) < 2000
    assert len(serialize_alpha(disc(1000, 800))) < 3000


def test_a_plane_of_another_size_is_refused() -> None:
    data = serialize_alpha(disc())
    for size in ((128, 48), (64, 47), (1 << 14, 1 << 14)):
        with pytest.raises(InvalidField):
            parse_alpha(data, *size)


def test_a_record_has_one_plane_at_most() -> None:
    record = record_of_code(0, 8, 8, 0, b"\0", b"plane")
    assert record.alpha == b"plane" and record.code == b"\0" and record.details.alpha_bytes == 5
    assert record_of_code(0, 8, 8, 0, b"\0").alpha is None
    with pytest.raises(InvalidField, match="2 planes"):
        assert replace(record, parts=(*record.parts, Part(ALPHA, b"more"))).alpha


# --- colours ---


def test_hidden_pixels_get_colours_of_those_nearby() -> None:
    colours = np.zeros((40, 60, 3), np.uint8)
    opacity = np.zeros((40, 60), np.uint8)
    colours[10:30, 10:25], colours[10:30, 35:50] = (200, 30, 60), (20, 220, 90)
    opacity[10:30, 10:25] = opacity[10:30, 35:50] = 1
    filled = fill_hidden(colours, opacity)
    assert np.array_equal(filled[opacity > 0], colours[opacity > 0])
    assert np.abs(filled[15:25, :8].astype(int) - (200, 30, 60)).max() < 45
    assert np.abs(filled[15:25, 52:].astype(int) - (20, 220, 90)).max() < 45
    assert not fill_hidden(colours, np.zeros_like(opacity)).any()
    assert is_gray(fill_hidden(to_gray(draw(1, 60, 40)), opacity))


def test_flattening() -> None:
    pixels = with_alpha(np.full((2, 2, 3), 100, np.uint8), np.array([[0, 255], [51, 0]], np.uint8))
    assert flatten(pixels, WHITE)[..., 0].tolist() == [[255, 100], [224, 255]]
    assert (flatten(pixels[..., :3], WHITE) == 100).all()


def test_distortion_is_that_of_visible_pixels() -> None:
    original = clear(1, disc())
    hidden = original.copy()
    hidden[original[..., 3] == 0] ^= 255
    assert psnr_db(original, hidden) == np.inf and ms_ssim(original, hidden[..., :3]) == pytest.approx(1)
    darker = with_alpha(original[..., :3] // 2, original[..., 3])
    visible = original[..., 3] == 255
    error = np.square(original[visible][:, :3].astype(float) - darker[visible][:, :3]).mean()
    assert psnr_db(original, darker) == pytest.approx(10 * np.log10(255**2 / error), abs=0.1)
    assert ms_ssim(original, darker) < 0.99
    nothing = with_alpha(original[..., :3], np.zeros((48, 64), np.uint8))
    assert psnr_db(nothing, darker) == np.inf
    assert [alpha_error(original, one) for one in (original, nothing, original[..., :3])] == [0, 255, 255]
    assert alpha_error(original[..., :3], darker[..., :3]) == 0


# --- archives ---


def test_transparency_comes_back_and_opaque_pictures_have_none(mixed: Path, packed: Path) -> None:
    found = by_name(packed)
    listed = list_folder(mixed, ReadOptions())
    for picture in listed.pictures:
        original = read_with_alpha(listed, picture, ReadOptions())
        assert original.shape == found[picture.name].shape
        assert picture.has_alpha == (picture.name in ("hard.png", "soft.png", "gray.png"))
        assert alpha_error(original, found[picture.name]) == 0
        assert psnr_db(original, found[picture.name]) > 25
        assert read_picture(listed, picture, ReadOptions()).shape == (48, 64, 3)
    assert is_gray(found["gray.png"][..., :3]) and not is_gray(found["soft.png"][..., :3])
    assert all(pixels.shape == (48, 64, 3) for pixels in by_name(packed, background=WHITE).values())
    with Archive.open(packed, device="cpu") as archive:
        assert {archive[index].mode for index in archive.indices} == {"RGB", "RGBA"}
        assert {picture.mode for picture in archive.decode(archive.indices, background=WHITE)} == {"RGB"}


def test_inspect_says_which_pictures_have_transparency(packed: Path) -> None:
    entries = describe(packed, entries=True)["entries"]
    assert {entry["name"] for entry in entries if entry["alpha_bytes"]} == {"hard.png", "soft.png", "gray.png"}
    (index,) = (entry["index"] for entry in entries if entry["name"] == "hard.png")
    assert describe_picture(packed, index)["alpha_bytes"] > 20
    assert "alpha" in run("inspect", packed, "--entries").output
    assert "transparency" in run("inspect", packed, "--index", index).output


def test_verify_compares_transparency(mixed: Path, packed: Path, tmp_path: Path) -> None:
    assert verify(packed, mixed, device="cpu").ok
    other = tmp_path / "other"
    other.mkdir()
    for path in mixed.iterdir():
        other.joinpath(path.name).write_bytes(path.read_bytes())
    save(clear(1, np.where(disc() > 0, 200, 0).astype(np.uint8)), other / "hard.png")
    save(draw(2, 64, 48), other / "soft.png")
    differences = verify(packed, other, device="cpu").differences
    assert len(differences) == 2 and all("transparency differs by up to" in line for line in differences)


def test_a_background_flattens(mixed: Path, tmp_path: Path) -> None:
    report = pack(mixed, tmp_path / "out.uni", replace(FAST, read=ReadOptions(background=(255, 0, 0))))
    assert (report.flattened, report.transparent) == (3, 0)
    found = by_name(tmp_path / "out.uni")
    assert all(pixels.shape == (48, 64, 3) for pixels in found.values())
    assert found["hard.png"][0, 0, 0] > 200 > 90 > found["hard.png"][0, 0, 1]
    assert verify(tmp_path / "out.uni", mixed, device="cpu").ok
    more = tmp_path / "more"
    more.mkdir()
    save(clear(8, disc()), more / "new.png")
    add(tmp_path / "out.uni", more, FAST)
    assert by_name(tmp_path / "out.uni")["new.png"].shape == (48, 64, 3)


def test_transparency_stays_when_an_archive_grows(packed: Path, tmp_path: Path) -> None:
    path, more = tmp_path / "out.uni", tmp_path / "more"
    path.write_bytes(packed.read_bytes())
    more.mkdir()
    save(clear(8, disc(soft=True)), more / "new.png")
    add(path, more, FAST)
    compact(path)
    with Archive.open(path, device="cpu") as archive:
        assert archive.read_options.background is None
        (index,) = archive.find("new.png")
        found = np.asarray(archive[index])
        assert found.shape[2] == 4 and np.array_equal(found[..., 3], disc(soft=True))


@needs_avif
@pytest.mark.parametrize(
    ("settings", "codec"),
    [
        ({"target": Target(Goal.QUALITY, 90)}, "avif"),
        ({"min_psnr_db": 42.0}, "avif"),
        ({"target": Target(Goal.STEP, 20.0)}, "half-size"),
    ],
)
def test_every_kind_of_code_has_transparency(settings: dict[str, Any], codec: str, mixed: Path, tmp_path: Path) -> None:
    pack(mixed, tmp_path / "out.uni", replace(FAST, **settings))
    entries = describe(tmp_path / "out.uni", entries=True)["entries"]
    assert codec in {entry["codec"] for entry in entries if entry["alpha_bytes"]}
    assert np.array_equal(by_name(tmp_path / "out.uni")["soft.png"][..., 3], disc(soft=True))
    assert verify(tmp_path / "out.uni", mixed, device="cpu", min_psnr_db=settings.get("min_psnr_db")).ok


@needs_avif
def test_near_duplicates_have_transparency(tmp_path: Path) -> None:
    folder = tmp_path / "stills"
    folder.mkdir()
    texture = np.random.default_rng(0).integers(-40, 40, (48, 64, 3))
    for number in range(3):
        still = (draw(7, 64, 48).astype(int) + texture).clip(0, 255).astype(np.uint8)
        still[4:8, 4 + 8 * number : 8 + 8 * number] = 255
        save(with_alpha(still, disc() | marked(number)), folder / f"{number}.png")
    pack(folder, tmp_path / "out.uni", replace(FAST, target=Target(Goal.STEP, 2.0)))
    assert {entry["codec"] for entry in describe(tmp_path / "out.uni", entries=True)["entries"]} == {"avif-sequence"}
    for name, pixels in by_name(tmp_path / "out.uni").items():
        assert np.array_equal(pixels[..., 3], disc() | marked(int(name[0])))


def test_a_damaged_plane_is_one_lost_picture(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive.open(packed, device="cpu") as archive:
        (index,) = archive.find("hard.png")
        record, lost = archive.reader.record, list[int]()
        broken = record_of_code(index, 64, 48, 0, record(archive.reader.row(index)).code, b"\4no frame")
        monkeypatch.setattr(archive.reader, "record", lambda row: broken if row.index == index else record(row))
        found = dict(archive.iterate(archive.indices, on_error=lambda number, _: lost.append(number)))
    assert lost == [index] and len(found) == 4


def test_a_network_gets_flattened_pictures() -> None:
    assert with_background(NetworkOptions()).read.background == WHITE
    assert with_background(NetworkOptions(read=ReadOptions(background=(1, 2, 3)))).read.background == (1, 2, 3)
    assert with_background(FAST) is FAST


def test_turned_and_reduced_pictures_have_transparency(tmp_path: Path) -> None:
    opacity = disc()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(clear(1, opacity)).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    listed = list_folder(tmp_path, ReadOptions())
    assert np.array_equal(read_with_alpha(listed, listed.pictures[0], ReadOptions())[..., 3], opacity)
    small = ReadOptions(max_side=32)
    listed = list_folder(tmp_path, small)
    scaled = read_with_alpha(listed, listed.pictures[0], small)
    assert scaled.shape == (24, 32, 4) and scaled[0, 0, 3] == 0 and scaled[12, 16, 3] == 255


# --- files ---


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", pytest.param(".avif", marks=needs_avif)])
def test_files_with_transparency(suffix: str) -> None:
    pixels = clear(1, disc(soft=True))
    encoded, lost = encode_with_metadata(pixels, suffix, PictureMetadata())
    found = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA"))
    assert not lost and np.abs(found[..., 3].astype(int) - pixels[..., 3]).max() <= (8 if suffix == ".avif" else 0)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_files_without_transparency_get_pictures_on_white(suffix: str) -> None:
    pixels = clear(1, disc())
    encoded, lost = encode_with_metadata(pixels, suffix, PictureMetadata())
    found = Image.open(io.BytesIO(encoded))
    assert lost == ["transparency"] and found.mode == "RGB"
    assert psnr_db(flatten(pixels, WHITE), np.asarray(found)) > 25


def test_unpacking_on_a_background(packed: Path, tmp_path: Path) -> None:
    done = run("unpack", packed, "--name", "hard.png", "-o", tmp_path / "a.jpg")
    assert "transparency of 1 picture does not fit the format" in done.stderr
    done = run("unpack", packed, "--name", "hard.png", "-o", tmp_path / "b.jpg", "--background", "#ff0000")
    assert "transparency" not in done.stderr
    assert np.abs(np.asarray(Image.open(tmp_path / "b.jpg"))[0, 0].astype(int) - (255, 0, 0)).max() < 12
    run("unpack", packed, "--name", "hard.png", "-o", tmp_path / "c.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "c.png"))[..., 3], disc())
