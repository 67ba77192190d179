"""Documents refer to what is there: links, files, tests, modules, commands and options."""

from pathlib import Path

import pytest

from tests.dead_references import Document, anchors_of
from tests.repository import Repository
from unicorn_cli.main import cli

ROOT = Path(__file__).parent.parent
REPOSITORY = Repository(ROOT, cli)
FOLDERS = ("docs", "format_spec", "benchmarks", "models")
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))})


def dead(text: str, path: str = "docs/page.md") -> list[str]:
    return Document(REPOSITORY, path, text).dead_references()


@pytest.mark.parametrize("path", [p.relative_to(ROOT).as_posix() for p in DOCUMENTS])
def test_a_document_refers_to_what_is_there(path: str) -> None:
    document = Document(REPOSITORY, path, (ROOT / path).read_text(encoding="utf-8"))
    # The changelog and the results name what was there at their time; their links must lead somewhere all the same.
    is_record = path == "CHANGELOG.md" or path.count("/") > 2
    found = list(document.dead_links() if is_record else document.dead_references())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("[a page](nowhere.md)", "link to nowhere.md: there is no docs/nowhere.md"),
        ("[a long\nname](../nowhere/)", "link to ../nowhere/: there is no nowhere"),
        ('<img src="nothing.png">', "link to nothing.png: there is no docs/nothing.png"),
        ("# Here\n[there](#there)", "link to #there: docs/page.md has no such heading"),
        ("[the rules](../SECURITY.md#nothing)", "link to ../SECURITY.md#nothing: SECURITY.md has no such heading"),
        ("`tests/test_nothing.py`", "there is no file tests/test_nothing.py"),
        ("`test_nothing.py` holds it", "there is no file test_nothing.py"),
        ("`benchmarks/results/none/<name>.md`", "there is no file benchmarks/results/none/<name>.md"),
        ("`test_nothing_of_this_name`", "there is no test test_nothing_of_this_name"),
        ("`test_nothing_of_this...`", "there is no test test_nothing_of_this"),
        ("`unicorn_codec.format.nothing`", "there is no module or name unicorn_codec.format.nothing"),
        ("`errors.NothingError`", "there is no name errors.NothingError in the library"),
        (
            "```python\nfrom unicorn_codec.errors import Nothing\n```",
            "there is no name Nothing in unicorn_codec.errors",
        ),
        ("`unicorn squeeze`", "there is no command unicorn squeeze"),
        ("```\nunicorn pack folder \\\n  out.uni --nothing 3\n```", "unicorn pack has no option --nothing"),
        (
            "Use:\n\n    unicorn pack a b.uni\n\n    unicorn unpack b.uni --nothing\n",
            "unicorn unpack has no option --nothing",
        ),
        ("`verify --nothing`", "unicorn verify has no option --nothing"),
        ("`--nothing 5`", "no command has an option --nothing"),
        ("`python benchmarks/speed.py --nothing`", "benchmarks/speed.py has no option --nothing"),
        ("`python -m benchmarks.nothing`", "there is no module benchmarks.nothing"),
        ("`make nothing`", "there is no target nothing of make"),
    ],
)
def test_a_dead_reference_is_found(text: str, report: str) -> None:
    assert dead(text) == [report]


@pytest.mark.parametrize(
    "text",
    [
        "[rules](../SECURITY.md#limits), [outside](https://example.org/nothing.md)\n## A `b`: c\n[a](#a-b-c)",
        "`tests/test_references.py::test_a_dead_reference_is_found`, `test_a_dead...`, `benchmarks/*.py`",
        "`unicorn --version`, `pack --seed 3`, `--seed=3`, `errors.FormatError`, `unicorn_codec.archive.Archive`",
        "```\n$ make test  # --nothing\npython benchmarks/speed.py --help && unicorn unpack a.uni -o out/b.png\n```",
        "`torch.compile`, `torch.PictureDataset`",
        "`out.uni`, `pictures/1.png`, `[x](nowhere.md)`, `pip install --nothing`",
    ],
)
def test_a_live_reference_is_none(text: str) -> None:
    assert dead(text) == []


def test_headings_that_come_again_are_numbered() -> None:
    assert anchors_of("# One, two\n## One two\n```\n# not one\n```\n") == {"one-two", "one-two-1"}
