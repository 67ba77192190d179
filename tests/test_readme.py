"""The README is short, and what it shows works."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec.pictures.picture_writing import write_picture

README = Path(__file__).parent.parent / "README.md"
MOST_WORDS = 700
PICTURES = 6


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``photos`` that the README packs, in a new working directory."""
    monkeypatch.chdir(tmp_path)
    for number in range(PICTURES):
        folder = Path("photos", "cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        write_picture(draw(number, 64, 48), folder / f"{number}.png")
    return tmp_path / "photos"


def section(title: str) -> str:
    """Text of a section, up to the next heading of its level."""
    text = README.read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands() -> list[list[str]]:
    """Arguments of every ``unicorn`` command of the section on use."""
    lines = re.findall(r"^ {4}unicorn (.+)$", section("Use"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_it_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= MOST_WORDS


def test_its_commands_work(photos: Path) -> None:
    shown = commands()
    assert {arguments[0] for arguments in shown} == {"pack", "unpack", "inspect", "verify", "view"}
    for arguments in shown:
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"unicorn {shlex.join(arguments)}: {result.output}"


def test_its_python_works(photos: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", section("Use"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(program, str(README), "exec"), names)
    archive = names["archive"]
    assert len(archive) == PICTURES  # type: ignore[arg-type]
    assert Path("3.png").stat().st_size > 0
