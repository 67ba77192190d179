"""Contact sheets: every picture in its place, on as many pages as it takes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.viewing.contact_sheet import SheetLayout, fitted, load_font, numbered


def draw(archive: Path, sheet: Path, *options: str) -> Any:
    return CliRunner().invoke(cli, ["contact", str(archive), str(sheet), "--device", "cpu", *options])


def test_every_picture_lies_in_the_order_of_the_names(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    sheet = tmp_path / "a sheet.png"
    result = draw(coded[0], sheet, "--columns", "3", "--side", "80", "--no-captions", "--background", "black")
    assert result.exit_code == 0, result.output
    layout = SheetLayout(columns=3, side=80, captions=False)
    page = np.asarray(Image.open(sheet))
    assert page.shape[:2] == layout.page_size(2)[::-1]
    with Archive.open(coded[0], device="cpu") as archive:
        order = sorted(archive.names, key=lambda index: archive.names[index].encode())
        for place, index in enumerate(order):
            row, column = divmod(place, 3)
            pixels = np.asarray(archive[index])
            height, width = pixels.shape[:2]
            left = layout.gap + column * (80 + layout.gap) + (80 - width) // 2
            top = layout.gap + row * (80 + layout.gap) + 80 - height
            drawn = page[top : top + height, left : left + width].astype(int)
            assert np.abs(drawn - pixels).max() <= 1, "decoded together, the last bit may differ"


def test_many_pictures_become_several_files_or_pages(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    options = ("--columns", "2", "--rows", "2", "--side", "40")
    assert draw(coded[0], tmp_path / "sheet.jpg", *options).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet-1.jpg", "sheet-2.jpg"]
    assert draw(coded[0], tmp_path / "sheet.tif", *options).exit_code == 0
    with Image.open(tmp_path / "sheet.tif") as pages:
        assert getattr(pages, "n_frames", 1) == 2
    assert draw(coded[0], tmp_path / "sheet.pdf", *options).exit_code == 0
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "sheet.pdf").read_bytes())) == 2


def test_a_selection_keeps_its_order_and_its_captions(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    plain, captioned = tmp_path / "plain.png", tmp_path / "captioned.png"
    assert draw(coded[0], plain, "--index", "3,1", "--columns", "2", "--no-captions").exit_code == 0
    assert draw(coded[0], captioned, "--index", "3,1", "--columns", "2").exit_code == 0
    with Image.open(plain) as without, Image.open(captioned) as with_captions:
        assert with_captions.height > without.height
        below = np.asarray(with_captions)[SheetLayout().gap + SheetLayout().side :]
        assert (below < 100).any()
    assert draw(coded[0], tmp_path / "b.png", "--name", "tall/*").exit_code == 0


def test_a_damaged_picture_leaves_its_place_and_is_named(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    data = bytearray(coded[0].read_bytes())
    with Archive.open(coded[0], device="cpu") as archive:
        row = archive.reader.row(2)
    data[row.offset + row.length // 2] ^= 0x55
    (tmp_path / "damaged.uni").write_bytes(data)
    result = draw(tmp_path / "damaged.uni", tmp_path / "sheet.png")
    assert result.exit_code == 3 and "1 picture damaged: 2" in result.output
    assert (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("sheet", "options", "words"),
    [
        ("sheet.xyz", (), "not .xyz"),
        ("sheet", (), "contact sheets are written as"),
        ("sheet.png", ("--font", "no-such.ttf"), "cannot be read as a font"),
        ("sheet.png", ("--columns", "100", "--side", "2000"), "too large"),
        ("sheet.png", ("--index", "6"), "out of range"),
        ("missing/sheet.png", ("--index", "1"), "no such file"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    coded: tuple[Path, PackReport], tmp_path: Path, sheet: str, options: tuple[str, ...], words: str
) -> None:
    result = draw(coded[0], tmp_path / sheet, *options)
    assert result.exit_code == 1 and words in result.output and result.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_existing_sheet_is_kept(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    (tmp_path / "sheet.png").write_text("kept")
    assert "exists already" in draw(coded[0], tmp_path / "sheet.png").output
    assert (tmp_path / "sheet.png").read_text() == "kept"
    assert draw(coded[0], tmp_path / "sheet.png", "--overwrite").exit_code == 0


def test_a_long_caption_loses_its_middle() -> None:
    font = load_font(SheetLayout())
    text = fitted("12  " + "a long name " * 20 + ".png", 200, font)
    assert font.getlength(text) <= 200 and text.startswith("12  a") and text.endswith(".png") and "..." in text
    assert fitted("short", 200, font) == "short"


def test_pages_are_numbered_so_that_they_sort() -> None:
    paths = [path.name for path in numbered(Path("a/sheet.jpg"), 12)]
    assert paths[0] == "sheet-01.jpg" and paths == sorted(paths)


def test_a_layout_checks_itself() -> None:
    with pytest.raises(InvalidSetting, match="columns must be 1 to 100, not 0"):
        SheetLayout(columns=0)
