"""Standard streams that are closed, full, or of an encoding that lacks letters: one clear line, or the right result."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unicorn_cli.values import to_json
from unicorn_codec.packing.reports import PackReport

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")

FULL = "unicorn: error: cannot write to the standard output: "


def unicorn(*arguments: object, redirect: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the command in a shell, which redirects."""
    words = [sys.executable, "-m", "unicorn_cli", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirect}', "sh", *words], capture_output=True, env={**os.environ, **environment}
    )


def test_a_full_or_closed_stdout_is_one_line(coded: tuple[Path, PackReport]) -> None:
    full = unicorn("inspect", coded[0], redirect=">/dev/full")
    assert (full.returncode, full.stderr.decode()) == (1, FULL + "no space left on device\n")
    closed = unicorn("inspect", coded[0], redirect=">&-")
    assert (closed.returncode, closed.stderr.decode()) == (1, FULL + "bad file descriptor\n")


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
def test_a_closed_or_full_stderr_does_no_harm(coded: tuple[Path, PackReport], tmp_path: Path, redirect: str) -> None:
    done = unicorn("unpack", coded[0], "--all", "-o", tmp_path / "out", redirect=redirect)
    assert done.returncode == 0 and done.stdout.count(b"written ") == 6
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6
    refused = unicorn("inspect", tmp_path / "missing.uni", redirect=redirect)
    assert refused.returncode == 1 and not refused.stdout


def test_no_file_takes_the_descriptor_of_a_closed_stream(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    """What a library prints on stderr would land in it."""
    usual, closed = tmp_path / "usual.png", tmp_path / "closed.png"
    for path, redirect in ((usual, ""), (closed, "<&- 2>&-")):
        assert unicorn("unpack", coded[0], "--index", 3, "-o", path, redirect=redirect).returncode == 0
    assert usual.read_bytes() == closed.read_bytes()


@pytest.mark.parametrize("environment", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "latin-1"}])
def test_names_that_an_encoding_lacks(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "in").mkdir()
    for name in ("猫 é.txt", "\N{SNOWMAN}.jpg"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    done = unicorn("pack", tmp_path / "in", tmp_path / "out.uni", **environment)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1].strip()
    assert last in (name + b".jpg: it is no picture, or damaged" for name in (b"\\u2603", "\u2603".encode()))


def test_json_stays_json_where_the_encoding_lacks_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "latin-1"):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        text = to_json({"name": "猫 é"})
        assert json.loads(text.encode(encoding).decode(encoding)) == {"name": "猫 é"}
        assert ("猫" in text) == (encoding == "utf-8")


def test_one_picture_to_stdout(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    unicorn("unpack", coded[0], "--index", 2, "-o", tmp_path / "a.png")
    piped = unicorn("unpack", coded[0], "--index", 2, "-o", "-")
    assert piped.returncode == 0 and piped.stdout == (tmp_path / "a.png").read_bytes()
    assert unicorn("unpack", coded[0], "--index", 2, "-o", "-", "--format", "bmp").stdout.startswith(b"BM")
    several = unicorn("unpack", coded[0], "--all", "-o", "-")
    assert several.returncode == 2 and b"one picture, not 6" in several.stderr and not several.stdout
    assert not Path("-").exists()
    full = unicorn("unpack", coded[0], "--index", 2, "-o", "-", redirect=">/dev/full")
    assert (full.returncode, full.stderr.decode()) == (1, FULL + "no space left on device\n")
