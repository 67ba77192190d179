"""The page about a packing run: all of it true, and none of it markup that a name or a text brought."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.conftest import draw
from tests.test_cli import REPORT
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import Learned, PackReport
from unicorn_codec.pictures.picture_folder import Folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.viewing.histograms import HEIGHT, WIDTH, histogram, round_values
from unicorn_codec.viewing.pages import policy, render, static
from unicorn_codec.viewing.report import REPORT_STYLES, decibels, lists_of, settings_of, write_report_page

HOSTILE = "<img src=x onerror=alert(1)>.png"


class Found(Observer):
    """Keeps the folder."""

    folder: Folder

    def found(self, folder: Folder, plan: Any) -> None:
        self.folder = folder


class Elements(HTMLParser):
    """Names of elements, and the texts outside them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.texts, self.pictures = list[str](), list[str](), list[dict[str, str | None]]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport, Folder, CodesOptions, Path]:
    root = tmp_path_factory.mktemp("run")
    (root / "pictures").mkdir()
    for number in range(3):
        write_picture(draw(number, 40, 30), root / "pictures" / f"{number}.png")
    write_picture(draw(9, 40, 30), root / "pictures" / HOSTILE)
    (root / "pictures" / "notes <b>.txt").write_text("no picture")
    options, seen = CodesOptions(device="cpu", effort=0, learning=None, sequences=False), Found()
    report = pack(root / "pictures", root / "a.uni", options, seen)
    write_report_page(root / "page.html", root / "a.uni", seen.folder, options, report)
    return root / "a.uni", report, seen.folder, options, root / "page.html"


def test_the_page_says_what_the_report_says(run: tuple[Path, PackReport, Folder, CodesOptions, Path]) -> None:
    archive, report, _, _, page = run
    found = Elements(page.read_text("utf-8"))
    for words in (
        f"{archive.stat().st_size:,}",
        f"{report.measured.psnr_db.mean:.2f}",
        f"{report.measured.ms_ssim.mean:.4f}",
        "notes <b>.txt",
        "latents",
        "0.1.0",
    ):
        assert words in found.texts
    with Archive.open(archive, device="cpu") as opened:
        for row in report.measured.rows:
            line = next(text for text in found.texts if text.startswith(f"index {row.index} "))
            assert f"{row.psnr_db:.2f} dB" in line and f"{opened.reader.row(row.index).length:,} bytes" in line


def test_every_picture_stands_beside_its_original(run: tuple[Path, PackReport, Folder, CodesOptions, Path]) -> None:
    pictures = Elements(run[4].read_text("utf-8")).pictures
    assert len(pictures) == 2 * 4
    assert all(str(picture["src"]).startswith("data:image/webp;base64,") for picture in pictures)
    order = [row.name for row in sorted(run[1].measured.rows, key=lambda row: row.psnr_db)]
    assert [str(picture["alt"]).rsplit(", ", 1)[0] for picture in pictures[::2]] == order


def test_no_name_becomes_markup_and_nothing_runs(run: tuple[Path, PackReport, Folder, CodesOptions, Path]) -> None:
    text = run[4].read_text("utf-8")
    assert "<img src=x" not in text and "<b>" not in text and "script" not in Elements(text).elements
    assert HOSTILE in Elements(text).texts
    assert "default-src 'none'" in policy(static(*REPORT_STYLES))
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_an_original_that_has_changed_is_left_out(
    run: tuple[Path, PackReport, Folder, CodesOptions, Path], tmp_path: Path
) -> None:
    archive, report, folder, options, _ = run
    moved = replace(folder, root=tmp_path)
    write_report_page(tmp_path / "page.html", archive, moved, options, report)
    found = Elements((tmp_path / "page.html").read_text("utf-8"))
    assert len(found.pictures) == 4 and found.texts.count("not available") == 4


@pytest.mark.parametrize(
    ("learned", "words"),
    [
        (None, "not to learn"),
        (Learned(kept=False, tried=False, code_bytes=1234), "1,234 bytes are too few"),
        (Learned(kept=False, steps=7, seconds=9.6), "after 7 steps in 10 s"),
        (Learned(kept=True, bytes=5000, saved_bytes=6000, code_bytes=70000), "saves about 6,000 of 70,000"),
    ],
)
def test_what_was_learned_is_said(learned: Learned | None, words: str) -> None:
    report = replace(REPORT, learned=learned)
    page = render(
        "report.html",
        policy="",
        style="",
        title="x",
        report=report,
        histograms=[],
        plot=(WIDTH, HEIGHT),
        worst=[],
        settings=[],
        versions=[],
        system="",
        lists=lists_of(report),
        decibels=decibels,
    )
    assert words in page and "98,304 parameters" in page and "its HDR gain map is not kept" in page


def test_every_option_is_listed() -> None:
    found = dict(settings_of(CodesOptions(target=Target(Goal.SIZE, 5000), min_psnr_db=30)))
    assert found["target.value"] == "5000" and found["min_psnr_db"] == "30" and found["overwrite"] == "no"
    assert "read.max_side" in found and found["device"] == "auto"


def test_a_histogram_counts_every_finite_value() -> None:
    found = histogram("x", [1.0, 2.0, 2.0, 9.0, math.inf], lambda value: f"{value:g}")
    assert found is not None and found.count == 4 and found.median == "2" and found.largest == 3
    assert sum(int(bar.text.rsplit(": ", 1)[1]) for bar in found.bars) == 4
    assert all(0 <= bar.x <= WIDTH and 0 <= bar.y < HEIGHT for bar in found.bars)
    assert max(bar.height for bar in found.bars) == HEIGHT
    assert histogram("x", [math.inf], str) is None
    same = histogram("x", [5.0, 5.0], str)
    assert same is not None and same.marker == WIDTH / 2


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.971, 0.999), (20.0, 45.5), (100, 130000), (-0.5, 0.5)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = round_values(low, high)
    assert 2 <= len(found) <= 7 and all(low <= value <= high for value in found)


def test_pack_refuses_a_page_that_exists_before_the_work(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("kept")
    for page, words in ((tmp_path / "page.html", "exists already"), (tmp_path / "no" / "page.html", "no folder")):
        arguments = ["pack", str(folder), str(tmp_path / "out.uni"), "--report", str(page)]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 1 and words in result.output
    assert not (tmp_path / "out.uni").exists() and (tmp_path / "page.html").read_text() == "kept"


def test_pack_writes_the_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "a page.html"
    arguments = [
        "pack",
        str(folder),
        str(tmp_path / "out.uni"),
        "--effort",
        "0",
        "--learn",
        "off",
        "--report",
        str(page),
    ]
    result = CliRunner().invoke(cli, [*arguments, "--device", "cpu", "--json"])
    assert result.exit_code == 0, result.output
    assert f"written {page}" in result.stderr and "written" not in result.stdout
    assert "tall/0.png" in Elements(page.read_text("utf-8")).texts
