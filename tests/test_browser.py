"""The gallery in a real browser: headless Chromium, from the system's packages.

make test-browser
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.conftest import draw
from tests.sample_gallery import HOSTILE, write_many
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.viewing.export import export_gallery
from unicorn_codec.viewing.gallery import Gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
COUNT = 2000
SECONDS_TO_FIRST_WALL = float(os.environ.get("UNICORN_FIRST_WALL_SECONDS", "10"))
"""Generous, since test machines are shared; docs/viewing.md says what was measured."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]

VISIBLE = """() => {
    const tiles = [...document.querySelectorAll(".tile")].filter((tile) => {
        const box = tile.getBoundingClientRect();
        return box.bottom > 0 && box.top < innerHeight;
    });
    return tiles.length > 0 && tiles.every((tile) => tile.querySelector("img.shown"));
}"""
"""Whether every visible tile shows a picture."""


@pytest.fixture(scope="module")
def many(coded: tuple[Path, PackReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "many.uni"
    write_many(path, coded[0], COUNT)
    return path


@pytest.fixture(scope="module")
def address(many: Path) -> Iterator[str]:
    """Where the command serves the archive."""
    command = [sys.executable, "-u", "-m", "unicorn_cli", "view", str(many), "--no-browser", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", server.stdout.readline())
        assert found
        yield found[0]
        server.send_signal(2)
        assert server.wait(10) == 0


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright: pip install 'unicorn-codec[browser]'"
    )
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Window:
    """A page and what went wrong in it."""

    def __init__(self, browser: "Browser", **settings: Any) -> None:
        self.faults: list[str] = []
        self.page: Page = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | settings)).new_page()
        self.page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", self.refuse)
        self.page.on("request", lambda request: self.outside(request.url))

    def refuse(self, dialog: "Dialog") -> None:
        self.faults.append(dialog.message)
        dialog.dismiss()

    def outside(self, address: str) -> None:
        if not address.startswith(("http://127.0.0.1:", "blob:", "data:", "file:")):
            self.faults.append(f"asks for {address}")

    def open(self, address: str) -> "Page":
        self.page.goto(address)
        self.page.wait_for_function(VISIBLE)
        return self.page


@pytest.fixture
def window(browser: "Browser") -> Iterator[Window]:
    found = Window(browser)
    yield found
    assert found.faults == []
    found.page.context.close()


def names(page: "Page") -> list[str]:
    """Names of the tiles in the document, in their places."""
    script = """[...document.querySelectorAll(".tile")].map((tile) => [tile.getBoundingClientRect().top,
        tile.getBoundingClientRect().left, tile.getAttribute("aria-label")])"""
    return [name for _, _, name in sorted(page.evaluate(script))]


def test_the_first_wall_appears_soon(window: Window, address: str) -> None:
    window.page.set_default_timeout(1000 * SECONDS_TO_FIRST_WALL)
    page = window.open(address)
    assert "2,000 pictures" in page.inner_text("#totals")


def test_the_wall_scrolls_through_all_pictures_and_keeps_few_in_the_document(window: Window, address: str) -> None:
    page = window.open(address)
    seen = set(names(page))
    most = 0
    while True:
        before = page.evaluate("scrollY")
        page.evaluate("scrollBy(0, innerHeight * 0.9)")
        page.wait_for_timeout(40)
        seen |= set(names(page))
        most = max(most, page.locator(".tile").count())
        if page.evaluate("scrollY") == before:
            break
    assert len(seen) == COUNT
    assert most < 400
    page.wait_for_function(VISIBLE)


def test_a_search_shows_what_matches_and_says_how_many(window: Window, address: str) -> None:
    page = window.open(address)
    page.keyboard.press("/")
    page.keyboard.type("0011 set")
    page.wait_for_function("() => document.querySelectorAll('.tile').length === 1")
    assert names(page) == ["set 4/picture 0011.png"]
    assert "1 of 2,000 pictures" in page.inner_text("#totals")
    page.fill("#search", "nothing such")
    page.wait_for_selector("#empty:not([hidden])")
    assert page.locator(".tile").count() == 0


def test_the_order_follows_the_choice(window: Window, address: str) -> None:
    page = window.open(address)
    page.select_option("#sort", "index")
    assert names(page)[:2] == [HOSTILE[0], HOSTILE[1]]
    page.click("#direction")
    assert names(page)[0] == "set 4/picture 1999.png"
    page.select_option("#sort", "psnr")
    page.wait_for_function(VISIBLE)
    page.locator(".tile").first.wait_for()
    page.keyboard.press("Escape")
    page.evaluate("document.querySelector('#direction').blur()")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    assert "39.9 dB" in page.inner_text("#facts")


def test_a_picture_opens_turns_zooms_and_closes_by_keyboard(window: Window, address: str, many: Path) -> None:
    page = window.open(address + "#7")
    page.wait_for_selector("#viewer[open]")
    assert page.inner_text("#viewer-name") == "set 0/picture 0007.png"
    page.wait_for_function("() => document.querySelector('#picture').src.endsWith('/picture/7')")
    with Archive.open(many, device="cpu") as archive:
        width, height = archive.size(7)
    natural = page.evaluate("(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight])(picture)")
    assert natural == [width, height]
    level = page.inner_text("#zoom-level")
    page.keyboard.press("+")
    assert page.inner_text("#zoom-level") != level
    page.keyboard.press("1")
    assert page.inner_text("#zoom-level") == "100 %"
    page.keyboard.press("0")
    assert page.inner_text("#zoom-level") == level
    first = page.inner_text("#viewer-name")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash !== '#7'")
    assert page.inner_text("#viewer-name") != first
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer:not([open])", state="attached")
    assert page.evaluate("document.activeElement.className").startswith("tile")
    assert page.evaluate("location.hash") == ""


def test_the_wheel_zooms_and_a_drag_moves(window: Window, address: str) -> None:
    page = window.open(address + "#7")
    page.wait_for_selector("#viewer[open]")
    page.mouse.move(400, 300)
    page.mouse.wheel(0, -1200)
    page.wait_for_selector("#stage.zoomed")
    before = page.evaluate("picture.style.transform")
    page.mouse.down()
    page.mouse.move(300, 260)
    page.mouse.up()
    assert page.evaluate("picture.style.transform") != before


def test_a_download_is_the_picture_in_its_own_format(window: Window, address: str, many: Path, tmp_path: Path) -> None:
    page = window.open(address + "#9")
    page.wait_for_selector("#viewer[open]")
    with page.expect_download() as coming:
        page.keyboard.press("d")
    assert coming.value.suggested_filename == "picture 0009.png"
    coming.value.save_as(tmp_path / "9.png")
    with Archive.open(many, device="cpu") as archive:
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "9.png")), np.asarray(archive[9]))


def test_hostile_names_are_text_everywhere(window: Window, address: str) -> None:
    page = window.open(address)
    page.select_option("#sort", "index")
    for index, name in enumerate(HOSTILE[:4]):
        assert page.get_attribute(f'.tile[data-index="{index}"]', "aria-label") == name
        page.goto(f"{address}#{index}")
        page.wait_for_selector("#viewer[open]")
        page.wait_for_function(f"() => document.querySelector('#viewer-name').textContent.length === {len(name)}")
        assert page.inner_text("#viewer-name") == name
    assert page.locator("img[src='x']").count() == 0


def test_hostile_metadata_is_text(window: Window, tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("<b>Title</b>", "<img src=x onerror=alert(1)>")
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'><script>alert(2)</script></x:xmpmeta>")
    (tmp_path / "pictures").mkdir()
    exif = Image.Exif()
    exif[0x010E] = "<svg onload=alert(3)>"
    Image.fromarray(draw(1, 64, 48)).save(tmp_path / "pictures" / "a.png", pnginfo=texts, exif=exif)
    pack(tmp_path / "pictures", tmp_path / "a.uni", CodesOptions(device="cpu", effort=0, learning=None))
    opened = Gallery(tmp_path / "a.uni", device="cpu")
    export_gallery(opened, tmp_path / "page.html", [0])
    opened.close()
    page = window.open((tmp_path / "page.html").as_uri() + "#0")
    page.wait_for_selector("#metadata section")
    shown = page.inner_text("#metadata")
    assert "<img src=x onerror=alert(1)>" in shown and "<svg onload=alert(3)>" in shown and "<script>" in shown
    assert page.locator("#metadata img, #metadata svg, #metadata script").count() == 0


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_fits_its_window_dark_and_light(
    browser: "Browser", address: str, width: int, height: int, scheme: str
) -> None:
    window = Window(browser, viewport={"width": width, "height": height}, color_scheme=scheme)
    page = window.open(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 384) == (scheme == "dark")
    page.locator(".tile").first.click()
    page.wait_for_selector("#viewer[open]")
    for wanted in ("#picture", "#download", "#close", "#facts dd"):
        box = page.locator(wanted).first.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width + 1
    assert window.faults == []
    page.context.close()


def test_a_resized_window_is_filled_anew_around_the_same_pictures(window: Window, address: str) -> None:
    page = window.open(address)
    page.evaluate("scrollTo(0, 4000)")
    page.wait_for_function(VISIBLE)
    before = set(names(page))
    page.set_viewport_size({"width": 640, "height": 800})
    page.wait_for_function(VISIBLE)
    assert before & set(names(page))
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.tile')].map((t) => t.getBoundingClientRect().right))"
    )
    assert 560 < right <= 640


def test_the_arrows_move_through_the_wall(window: Window, address: str) -> None:
    page = window.open(address)
    page.keyboard.press("Home")
    first = page.evaluate("document.activeElement.dataset.index")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.index") == first
    page.keyboard.press("End")
    assert page.evaluate("scrollY") > 1000
    page.wait_for_function(VISIBLE)


def test_an_exported_page_works_from_its_file(window: Window, many: Path, tmp_path: Path) -> None:
    opened = Gallery(many, device="cpu")
    export_gallery(opened, tmp_path / "a page.html", list(range(12)))
    opened.close()
    page = window.open((tmp_path / "a page.html").as_uri())
    assert "12 pictures" in page.inner_text("#totals")
    page.locator(".tile").first.click()
    page.wait_for_selector("#viewer[open]")
    assert page.evaluate("picture.naturalWidth") > 0
    assert page.inner_text("#viewer-name") in {*HOSTILE, *names(page)}
