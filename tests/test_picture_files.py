"""One file: sizes checked before it is read, names that can be printed, names that can be stored."""

from pathlib import Path

import pytest

from unicorn_codec.pictures import picture_files
from unicorn_codec.pictures.picture_files import BadFile, name_fault, printable, read_file, read_head


def test_sizes_are_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("empty.png").write_bytes(b"")
    with pytest.raises(BadFile, match="it is empty"):
        read_file(tmp_path, "empty.png")
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 3)
    tmp_path.joinpath("large.png").write_bytes(b"1234")
    with pytest.raises(BadFile, match="it has 4 bytes; 3 are allowed"):
        read_file(tmp_path, "large.png")


def test_printable() -> None:
    assert printable("a é 猫.png") == "a é 猫.png"
    assert printable("a\n\x1b[31m\udcff\u202e.png") == "a\\n\\x1b[31m\\udcff\\u202e.png"


def test_head() -> None:
    assert read_head(Path(__file__), 3) == b'"""'


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("caf\udce9.png", "its name is not UTF-8"),
        ("a" * 70000, "its name has 70000 bytes"),
        ("line\nfeed.png", "no name in a file may hold"),
        ("back\\slash.png", "no name in a file may hold"),
    ],
)
def test_names_that_no_archive_can_hold(name: str, reason: str) -> None:
    assert reason in (name_fault(name) or "")


def test_usual_names_are_fine() -> None:
    assert name_fault("a/é 猫 [1].png") is None
