"""Commands and programs of the page on other tools work."""

import re
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec.pictures.picture_writing import write_picture

PAGE = Path(__file__).parent.parent / "docs" / "using.md"
PACKAGES = {"Hugging Face datasets": "datasets", "Parquet": "pyarrow", "fsspec": "fsspec"}
"""What a section needs besides the package itself."""


def sections() -> dict[str, str]:
    """Text of each section by its title."""
    _, *parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def programs(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in re.findall(r"^ {4}unicorn (.+)$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``photos``, the archive ``out.uni`` and three shards."""
    root = tmp_path_factory.mktemp("using")
    for number in range(6):
        folder = root / "photos" / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        write_picture(draw(number, 64, 48 if number < 4 else 40), folder / f"{number}.png")
    for number in range(2):
        with tarfile.open(root / f"shards-00{number}.tar", "w") as tar:
            tar.add(root / "photos" / "cats" / f"{2 * number + 1}.png", f"00000{number}.png")
    with tarfile.open(root / "more.tar", "w") as tar:
        tar.add(root / "photos" / "dogs" / "0.png", "dogs/0.png")
    ((name, folder_name, output),) = commands(PAGE.read_text(encoding="utf-8").split("\n## ", 1)[0])
    arguments = [name, str(root / folder_name), str(root / output)]
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    return root


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with what is prepared."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("title", [title for title, text in sections().items() if programs(text) or commands(text)])
@pytest.mark.usefixtures("place")
def test_a_section_of_the_page_works(title: str) -> None:
    if title in PACKAGES:
        pytest.importorskip(PACKAGES[title])
    text = sections()[title]
    for arguments in commands(text):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"unicorn {shlex.join(arguments)}: {result.output}"
    for program in programs(text):
        exec(compile(program, str(PAGE), "exec"), {})


def test_every_tool_has_an_example() -> None:
    shown = {title for title, text in sections().items() if programs(text) or commands(text)}
    assert {"Pillow", "PyTorch", "WebDataset and other tar files", *PACKAGES} == shown
