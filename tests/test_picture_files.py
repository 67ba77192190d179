"""Finding files: order, hidden ones, links, names that cannot be stored, and things that are no files."""

import os
from pathlib import Path

import pytest

from unicorn_codec.pictures import picture_files
from unicorn_codec.pictures.picture_files import SUFFIXES, BadFile, Unreadable, find_pictures, printable, read_file


def touch(folder: Path, *names: str) -> None:
    for name in names:
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_bytes(b"x")


def test_names_are_sorted_by_their_bytes_and_not_folder_by_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.png", "a.png", "a-b.png", "B.png", "é.png", "z.png")
    assert find_pictures(tmp_path)[0] == ["B.png", "a-b.png", "a.png", "a/b.png", "z.png", "é.png"]


def test_known_suffixes_in_any_case_and_the_rest_counted(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a{suffix}" for suffix in SUFFIXES), "b.JPG", "readme.md", "sub/data.bin", "png", "a.png.txt")
    names, unusable, other_files = find_pictures(tmp_path)
    assert len(names) == len(SUFFIXES) + 1
    assert not unusable
    assert other_files == 4


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.png", ".folder/a.png", "sub/.thumbs/a.png", "sub/a.png", ".notes")
    assert find_pictures(tmp_path) == (["sub/a.png"], [], 0)


def test_folder_called_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "album.jpg/a.png")
    assert find_pictures(tmp_path)[0] == ["album.jpg/a.png"]


def test_link_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.png", "b/two.png")
    tmp_path.joinpath("a/up").symlink_to(tmp_path)
    tmp_path.joinpath("a/other").symlink_to(tmp_path / "b")
    tmp_path.joinpath("b/other").symlink_to(tmp_path / "a")
    tmp_path.joinpath("b/self").symlink_to(tmp_path / "b")
    assert find_pictures(tmp_path)[0] == ["a/one.png", "b/two.png"]


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    touch(outside, "sub/a.png")
    root.mkdir()
    root.joinpath("link").symlink_to(outside)
    root.joinpath("file.png").symlink_to(outside / "sub/a.png")
    assert find_pictures(root)[0] == ["file.png", "link/sub/a.png"]
    assert read_file(root, "file.png") == b"x"


def test_a_real_folder_comes_before_links_to_it(tmp_path: Path) -> None:
    touch(tmp_path, "z/deep/a.png")
    tmp_path.joinpath("a").symlink_to(tmp_path / "z/deep")
    assert find_pictures(tmp_path)[0] == ["z/deep/a.png"]


def test_link_to_itself_or_to_nothing(tmp_path: Path) -> None:
    tmp_path.joinpath("loop.png").symlink_to("loop.png")
    tmp_path.joinpath("gone.png").symlink_to("missing")
    assert find_pictures(tmp_path)[0] == ["gone.png", "loop.png"]
    with pytest.raises(BadFile, match="no such file"):
        read_file(tmp_path, "gone.png")
    with pytest.raises(BadFile, match="symbolic links"):
        read_file(tmp_path, "loop.png")


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    try:
        with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb"):
            pass
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    names, unusable, _ = find_pictures(tmp_path)
    assert names == []
    assert unusable == [Unreadable("caf\\udce9.png", "its name is not UTF-8")]


def test_too_long_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MAX_NAME_BYTES", 10)
    touch(tmp_path, "123456.png", "1234567.png", "sub/12345.png")
    names, unusable, _ = find_pictures(tmp_path)
    assert names == ["123456.png"]
    assert {fault.name for fault in unusable} == {"1234567.png", "sub/12345.png"}
    assert unusable[0].reason == "its name has 11 bytes; 10 are allowed"


def test_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "open/a.png", "shut/b.png")
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert find_pictures(tmp_path) == (["open/a.png"], [Unreadable("shut/", "permission denied")], 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifo_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert find_pictures(tmp_path)[0] == ["a.png"]
    with pytest.raises(BadFile, match="not a regular file"):
        read_file(tmp_path, "a.png")


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


@pytest.mark.parametrize("name", ["line\nfeed.png", "back\\slash.png", "bell\x07.png"])
def test_names_that_no_archive_can_hold_are_listed_with_the_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    _, faults, _ = find_pictures(tmp_path)
    assert len(faults) == 1 and "no name in a file may hold" in faults[0].reason
