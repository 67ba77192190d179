"""Parts of pictures that count more, by masks and regions: finer steps there, coarser ones elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec import Region
from unicorn_codec.archive import Archive
from unicorn_codec.codes.code_reading import kind_of
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.format import picture_tiles
from unicorn_codec.format.cell_map import mark_mapped, unmark_mapped
from unicorn_codec.format.code_kinds import is_avif, is_gray, unmark_gray
from unicorn_codec.packing.add import add
from unicorn_codec.packing.cell_importance import CellImportance, octaves_of, offsets_of
from unicorn_codec.packing.masks import folder_masks, region_masks
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.refinement import Objective, weighted
from unicorn_codec.pictures.picture_folder import Folder, list_folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.distortion import squared_error
from unicorn_codec.verification import verify

OPTIONS = CodesOptions(target=Target(Goal.STEP, 4.0), device="cpu", effort=0, learning=None, overwrite=True)
MIDDLE = Region.parse("25%,25%,50%,50%")
WIDTH, HEIGHT = 128, 96
INSIDE = np.zeros((HEIGHT, WIDTH), np.bool_)
INSIDE[MIDDLE.places(WIDTH, HEIGHT)] = True


def noisy(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, (HEIGHT, WIDTH, 3))
    return (draw(seed, WIDTH, HEIGHT) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures in colour, one of which is in a folder, a gray one, and one with transparency."""
    root = tmp_path_factory.mktemp("some pictures")
    (root / "trip").mkdir()
    write_picture(noisy(0), root / "a.png")
    write_picture(noisy(1), root / "trip" / "b.png")
    write_picture(np.repeat(noisy(2)[..., :1], 3, axis=2), root / "gray.png")
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:8] = 0
    write_picture(np.dstack((noisy(3), alpha)), root / "clear.png")
    return root


def listed(folder: Path) -> Folder:
    return list_folder(folder, ReadOptions())


def codes_of(path: Path) -> dict[str, bytes]:
    with Archive.open(path, device="cpu") as archive:
        return {archive.name(i): archive.reader.record(archive.reader.row(i)).code for i in archive.indices}


def errors_of(path: Path, originals: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Mean squared errors of pictures, inside and outside of the middle."""
    with Archive.open(path, device="cpu") as archive:
        found = {archive.name(index): pixels[..., :3] for index, pixels in archive.iterate(archive.indices)}
    squares = {name: (found[name] - original.astype(float)) ** 2 for name, original in originals.items()}
    return {name: (float(one[INSIDE].mean()), float(one[~INSIDE].mean())) for name, one in squares.items()}


COLOURS = {"a.png": noisy(0), "trip/b.png": noisy(1)}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("10,20,30,40", (slice(20, 60), slice(10, 40))),
        ("25%, 25%, 50%, 50%", (slice(25, 75), slice(50, 150))),
        ("0,0,100%,12.5%", (slice(0, 12), slice(0, 200))),
        ("150,90,100,100", (slice(90, 100), slice(150, 200))),
        ("300,0,10,10", (slice(0, 10), slice(200, 200))),
    ],
)
def test_a_region_is_in_pixels_or_per_cent(text: str, places: tuple[slice, slice]) -> None:
    assert Region.parse(text).places(200, 100) == places


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,5,5", "0,0,0,5", "0,0,5,0%", "1.5,0,5,5", "0,0,101%,5", "1,2,,4"],
)
def test_a_faulty_region_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting):
        Region.parse(text)


def test_a_region_outside_of_a_picture_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"outside of a\.png, which has 128x96 pixels"):
        region_masks(Region.parse("128,0,10,10"), listed(folder))


def test_whites_are_finer_and_blacks_coarser() -> None:
    mask = np.zeros((40, 64), np.uint8)
    mask[:16, :16], mask[:16, 16:32], mask[:16, 32:48] = 255, 170, 85
    mask[16:32, :8] = 255  # a half of a cell
    mask[32:, 60:] = 255  # a quarter of one that is cut off
    assert octaves_of(mask, 16).tolist() == [[-2, -1, 0, 1], [-2, 1, 1, 1], [1, 1, 1, -1]]
    octaves = np.array([[-2, -1, 0, 1]], np.int8)
    assert offsets_of(octaves, 4.0, 1.0, 12.0).tolist() == [[-8, -4, 0, 4]]
    assert offsets_of(octaves, 1.5, 1.0, 12.0).tolist() == [[-2, -2, 0, 4]]  # 1.5 / 2^(2/4) is 1.06
    assert offsets_of(octaves, 10.0, 1.0, 12.0).tolist() == [[-8, -4, 0, 1]]
    assert offsets_of(octaves, 20.0, 1.0, 12.0).tolist() == [[-8, -4, 0, 0]]


def test_a_map_comes_back_and_a_rectangle_takes_few_bytes() -> None:
    offsets = np.full((30, 40), 4, np.int8)
    offsets[10:20, 15:25] = -8
    code = mark_mapped(b"\x81code", offsets)
    assert code[:3] == b"\xff\5\x81" and len(code) == 2 + 5 + 13
    bare, found = unmark_mapped(code, 30, 40)
    assert bare == b"\x81code" and np.array_equal(found, offsets)
    random = np.random.default_rng(0).integers(-32, 33, (7, 1)).astype(np.int8)
    assert np.array_equal(unmark_mapped(mark_mapped(b"\0", random), 7, 1)[1], random)
    with pytest.raises(InvalidField, match="rows of a cell map"):
        unmark_mapped(code, 29, 40)


def test_distortion_is_weighed_by_pixels() -> None:
    original, shown = torch.zeros(1, 3, 4, 8), torch.zeros(1, 3, 4, 8)
    shown[..., :4], shown[..., 4:] = 0.1, 0.2
    octaves = torch.zeros(1, 4, 8, dtype=torch.int8)
    assert weighted(squared_error, shown, original, octaves) == pytest.approx(squared_error(shown, original))
    octaves[..., :4], octaves[..., 4:] = -1, 1
    left, right = (1.2 * 127.5**2 * value**2 / 2 for value in (0.1, 0.2))
    assert float(weighted(squared_error, shown, original, octaves)) == pytest.approx(4 * left + right / 4, rel=1e-5)


def test_refinement_serves_the_part_that_counts(autoencoder: PackagedAutoencoder, rate: RateModel) -> None:
    pixels = torch.from_numpy(noisy(0))[None]
    latents = autoencoder.encode_pictures(list(pixels.numpy()), 16)
    octaves = np.full((1, HEIGHT // 16, WIDTH // 16), 1, np.int8)
    octaves[:, 2:4, 2:6] = -2
    importance = CellImportance(octaves, np.zeros_like(octaves))  # of one step, so that refinement alone differs
    errors = []
    for of_cells in (None, importance):
        objective = Objective(
            autoencoder=autoencoder, rate=rate, step=4.0, half=False, measure=squared_error, importance=of_cells
        )
        refined = objective.refine(pixels, latents, 8)
        assert float(objective.cost_of_pictures(pixels, refined)) < float(objective.cost_of_pictures(pixels, latents))
        (shown,) = autoencoder.decode_pictures((refined / 4).round() * 4, HEIGHT, WIDTH, 4.0)
        squares = (shown.astype(float) - noisy(0)) ** 2
        errors.append((squares[32:64, 32:96].mean(), squares.mean()))
    assert errors[1][0] < errors[0][0] and errors[1][1] > errors[0][1]


@pytest.mark.parametrize(("step", "half"), [(1.9, False), (16.0, True)])
def test_a_region_is_better_and_the_rest_worse(folder: Path, tmp_path: Path, step: float, half: bool) -> None:
    options = replace(OPTIONS, target=Target(Goal.STEP, step), roi=MIDDLE, effort=2)
    pack(folder, tmp_path / "plain.uni", replace(options, roi=None))
    report = pack(folder, tmp_path / "marked.uni", options)
    plain, marked = (errors_of(tmp_path / name, COLOURS) for name in ("plain.uni", "marked.uni"))
    for name in COLOURS:
        inside, outside = (marked[name][place] / plain[name][place] for place in (0, 1))
        # Only one of the two codes may be of half size, which changes the error everywhere.
        assert inside < 1 and inside < 0.9 * outside
    codes = codes_of(tmp_path / "marked.uni")
    assert all(kind_of(code)[1] for code in codes.values()) and not any(map(is_avif, codes.values()))
    assert any(kind_of(code)[0] for code in codes.values()) == half
    assert is_gray(codes["gray.png"]) and report.measured.psnr_db.mean > 15
    assert verify(tmp_path / "marked.uni", against=folder, device="cpu").ok


def test_a_size_is_met_with_a_region(folder: Path, tmp_path: Path) -> None:
    size = pack(folder, tmp_path / "plain.uni", OPTIONS).file_bytes
    options = replace(OPTIONS, target=Target(Goal.SIZE, size), roi=MIDDLE)
    assert abs(pack(folder, tmp_path / "marked.uni", options).file_bytes / size - 1) < 0.03
    inside, outside = np.mean(list(errors_of(tmp_path / "marked.uni", COLOURS).values()), axis=0)
    assert inside < 0.7 * outside


def test_masks_cover_some_pictures_and_have_other_suffixes(folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks of some"
    (masks / "trip").mkdir(parents=True)
    small = np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    small[MIDDLE.places(WIDTH // 2, HEIGHT // 2)] = 255
    write_picture(small, masks / "trip" / "b.jpg")
    pack(folder, tmp_path / "plain.uni", OPTIONS)
    pack(folder, tmp_path / "marked.uni", replace(OPTIONS, importance=masks))
    plain, marked = codes_of(tmp_path / "plain.uni"), codes_of(tmp_path / "marked.uni")
    assert {name for name in plain if plain[name] != marked[name]} == {"trip/b.png"}
    assert kind_of(marked["trip/b.png"])[1]
    inside, outside = errors_of(tmp_path / "marked.uni", COLOURS)["trip/b.png"]
    assert inside < 0.7 * outside


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("a.png", (WIDTH, WIDTH), r"the mask a\.png has 128x128 pixels, its picture 128x96"),
        ("other.png", (WIDTH, HEIGHT), r"the mask other\.png belongs to no picture"),
        ("b.png", (WIDTH, HEIGHT), r"the mask b\.png belongs to no picture"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_by_name(
    folder: Path, tmp_path: Path, name: str, size: tuple[int, int], words: str
) -> None:
    write_picture(np.zeros((size[1], size[0], 3), np.uint8), tmp_path / name)
    with pytest.raises(InvalidSetting, match=words):
        folder_masks(tmp_path, listed(folder), 1 << 20)


def test_two_masks_of_a_picture_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("a.jpg", "a.webp"):
        write_picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8), tmp_path / name)
    with pytest.raises(InvalidSetting, match=r"a\.jpg and a\.webp are both masks of a\.png"):
        folder_masks(tmp_path, listed(folder), 1 << 20)


def test_wishes_that_masks_cannot_serve_are_refused(folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    write_picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8), masks / "a.png")
    for options, words in (
        (replace(OPTIONS, roi=MIDDLE, importance=masks), "not both"),
        (replace(OPTIONS, roi=MIDDLE, target=Target(Goal.QUALITY, 90)), "quality of at most 60.2"),
        (replace(OPTIONS, importance=tmp_path / "nowhere"), "no folder of masks, or table"),
    ):
        with pytest.raises(InvalidSetting, match=words):
            pack(folder, tmp_path / "out.uni", options)
    with pytest.raises(InvalidSetting, match="not both"):
        replace(OPTIONS, roi=MIDDLE, goal="worst")


def test_marked_pictures_are_taken_over_with_the_same_region_alone(folder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, roi=MIDDLE)
    pack(folder, tmp_path / "first.uni", options)
    files = tmp_path / "files"
    result = CliRunner().invoke(cli, ["unpack", str(tmp_path / "first.uni"), "--all", "-o", str(files)])
    assert result.exit_code == 0, result.output
    for wish, taken in ((options, 4), (OPTIONS, 4), (replace(OPTIONS, roi=Region.parse("0,0,32,32")), 0)):
        report = pack(files, tmp_path / "again.uni", wish)
        assert report.taken_over == taken
        if taken:
            assert errors_of(tmp_path / "again.uni", COLOURS) == errors_of(tmp_path / "first.uni", COLOURS)


def test_pictures_are_added_with_a_region(folder: Path, tmp_path: Path) -> None:
    archive, more = tmp_path / "out.uni", tmp_path / "more"
    pack(folder, archive, OPTIONS)
    more.mkdir()
    write_picture(noisy(7), more / "new.png")
    (tmp_path / "table.csv").write_text("new.png,4\n")
    with pytest.raises(InvalidSetting, match="give masks"):
        add(archive, more, replace(OPTIONS, importance=tmp_path / "table.csv"))
    add(archive, more, replace(OPTIONS, roi=MIDDLE))
    codes = codes_of(archive)
    assert {name for name, code in codes.items() if kind_of(unmark_gray(code))[1]} == {"new.png"}
    inside, outside = errors_of(archive, {"new.png": noisy(7)})["new.png"]
    assert inside < 0.7 * outside


def test_tiles_have_their_parts_of_the_mask(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_tiles, "MAX_CODED_PIXELS", 64**2)
    monkeypatch.setattr(picture_tiles, "MAX_TILE_SIDE", 64)
    pack(folder, tmp_path / "out.uni", replace(OPTIONS, roi=Region.parse("0,0,32,32")))
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        (index,) = archive.find("a.png")
        codes = archive.reader.record(archive.reader.row(index)).codes
    offsets = [unmark_mapped(code, rows, 4)[1] for code, rows in zip(codes, (4, 4, 2, 2), strict=True)]
    assert offsets[0].tolist() == [[-8, -8, 4, 4]] * 2 + [[4] * 4] * 2
    assert all((one == 4).all() for one in offsets[1:])


def test_the_command_line_takes_a_region(folder: Path, tmp_path: Path) -> None:
    runner, output = CliRunner(), str(tmp_path / "out.uni")
    plain = ["--step", "4", "--effort", "0", "--learn", "off", "--device", "cpu"]
    wrong = runner.invoke(cli, ["pack", str(folder), output, "--roi", "1,2,3"])
    assert wrong.exit_code == 2 and "no region X,Y,W,H" in wrong.output
    result = runner.invoke(cli, ["pack", str(folder), output, "--roi", "25%,25%,50%,50%", *plain])
    assert result.exit_code == 0, result.output
    assert all(kind_of(code)[1] for code in codes_of(Path(output)).values())
    shown = runner.invoke(cli, ["inspect", output, "--json"])
    assert shown.exit_code == 0 and "latents" in {part["part"] for part in json.loads(shown.output)["parts"]}
    assert runner.invoke(cli, ["verify", output, "--against", str(folder), "--device", "cpu"]).exit_code == 0
