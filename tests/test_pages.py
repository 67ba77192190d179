"""Commands of the pages on looking at archives and on scripts work, and leave what the pages say."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.conftest import draw
from tests.test_container_reading import Ranges, serving
from unicorn_cli.main import cli
from unicorn_codec.pictures.picture_writing import write_picture

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PICTURES = 12
WRITTEN = {
    "page.html", "cats.html", "some.html", "sheet.jpg", "sheet.pdf", "cats.png", "some.jpg", "new.uni", "report.html",
}  # fmt: skip
"""Files that the page on looking at archives writes."""


def commands(page: str) -> list[str]:
    """Lines of a page that start with ``unicorn``."""
    return re.findall(r"^ {4}unicorn (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)


def run(arguments: list[str]) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``photos`` of twelve pictures, and its archive ``out.uni``."""
    root = tmp_path_factory.mktemp("pages")
    for number in range(PICTURES):
        folder = root / "photos" / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        write_picture(draw(number, 48, 32), folder / f"{number}.png")
    done = run(["pack", str(root / "photos"), str(root / "out.uni"), "--effort", "0", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what is prepared."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def host(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a local server of ``out.uni``, instead of https://example.org."""
    monkeypatch.setattr(Ranges, "data", (prepared / "out.uni").read_bytes())
    monkeypatch.setattr(Ranges, "requests", [])
    with serving() as address:
        yield address


def test_pages_and_sheets_of_the_page_on_viewing_are_written(place: Path) -> None:
    pytest.importorskip("starlette")
    for line in commands("viewing.md"):
        arguments = shlex.split(line, comments=True)
        if arguments[0] == "view" and "--export" not in arguments:
            continue
        done = run(arguments)
        assert done.exit_code == 0, f"unicorn {line}: {done.output}"
    assert {path.name for path in place.iterdir()} == WRITTEN | {"photos", "out.uni"}
    assert Image.open("sheet.jpg").format == "JPEG" and Path("sheet.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal INT")
@pytest.mark.parametrize("line", [line for line in commands("viewing.md") if re.match(r"view \S+ *(--no|#)", line)])
def test_galleries_of_the_page_on_viewing_are_served(line: str, place: Path, host: str) -> None:
    pytest.importorskip("uvicorn")
    arguments = shlex.split(line, comments=True)
    if "https://" in line:
        pytest.importorskip("aiohttp")
        arguments = [argument.replace("https://example.org", host) for argument in arguments]
    browser = place / "browser"
    browser.write_text('#!/bin/sh\nprintf %s "$1" > opened\n')
    browser.chmod(0o755)
    environment = {**os.environ, "BROWSER": f"{browser} %s", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-u", "-m", "unicorn_cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/[\w-]+/(?= until)", server.stdout.readline())
        with urllib.request.urlopen(f"{address}pictures") as answer:
            assert json.load(answer)["pictures"] == PICTURES
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    assert Path("opened").exists() == ("--no-browser" not in arguments)
    if "--no-browser" not in arguments:
        assert Path("opened").read_text() == address


@pytest.mark.usefixtures("place")
def test_commands_of_the_page_on_scripts_give_what_their_pipes_take() -> None:
    shutil.copy("out.uni", "old.uni")
    shutil.copy("out.uni", "new.uni")
    assert run(["remove", "new.uni", "--index", "2"]).exit_code == 0
    assert run(["add", "new.uni", "photos/dogs", "--effort", "0"]).exit_code == 0
    Path("out.uni").unlink()
    codes = {}
    piped = [line for line in commands("scripting.md") if " | " in line]
    for line in piped:
        own, _, rest = line.partition(" | ")
        done = run(shlex.split(own))
        codes[shlex.split(own)[0]] = done.exit_code
        if rest.startswith("jq "):
            json.loads(done.stdout)
            if shutil.which("jq"):
                subprocess.run(shlex.split(rest), input=done.stdout_bytes, check=True, stdout=subprocess.DEVNULL)
        else:
            assert "3.jpg" in rest and done.stdout_bytes.startswith(b"\xff\xd8")
    assert codes == {"pack": 0, "inspect": 0, "diff": 1, "unpack": 0}


def test_the_page_on_installing_names_every_extra() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    page = (DOCS / "installing.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(settings["options.extras_require"])
