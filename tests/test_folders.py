"""Finding files: order, hidden ones, links, names that cannot be stored, and things that are no files."""

import os
from pathlib import Path

import pytest

from unicorn_codec.pictures import picture_files
from unicorn_codec.pictures.folders import alike_names, find_files
from unicorn_codec.pictures.picture_files import SUFFIXES, BadFile, LeftOut, fault, read_file

HEADS = {
    "JPEG": b"\xff\xd8\xff\xe0",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "JXL": b"\xff\x0a",
    "MP4": b"\0\0\0\x18ftypisom\0\0\0\0mp42isom",
}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_bytes(b"x")


def test_names_are_sorted_by_their_bytes_and_not_folder_by_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.png", "a.png", "a-b.png", "B.png", "é.png", "z.png")
    assert find_files(tmp_path).names == ["B.png", "a-b.png", "a.png", "a/b.png", "z.png", "é.png"]


def test_folder_called_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "album.jpg/a.png")
    assert find_files(tmp_path).names == ["album.jpg/a.png"]


def test_link_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.png", "b/two.png")
    tmp_path.joinpath("a/up").symlink_to(tmp_path)
    tmp_path.joinpath("a/other").symlink_to(tmp_path / "b")
    tmp_path.joinpath("b/other").symlink_to(tmp_path / "a")
    tmp_path.joinpath("b/self").symlink_to(tmp_path / "b")
    assert find_files(tmp_path).names == ["a/one.png", "b/two.png"]


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    touch(outside, "sub/a.png")
    root.mkdir()
    root.joinpath("link").symlink_to(outside)
    root.joinpath("file.png").symlink_to(outside / "sub/a.png")
    assert find_files(root).names == ["file.png", "link/sub/a.png"]
    assert read_file(root, "file.png") == b"x"


def test_a_real_folder_comes_before_links_to_it(tmp_path: Path) -> None:
    touch(tmp_path, "z/deep/a.png")
    tmp_path.joinpath("a").symlink_to(tmp_path / "z/deep")
    assert find_files(tmp_path).names == ["z/deep/a.png"]


def test_link_to_itself_or_to_nothing(tmp_path: Path) -> None:
    tmp_path.joinpath("loop.png").symlink_to("loop.png")
    tmp_path.joinpath("gone.png").symlink_to("missing")
    assert find_files(tmp_path).names == ["gone.png", "loop.png"]
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
    found = find_files(tmp_path)
    assert found.names == []
    assert found.left_out == [fault("caf\\udce9.png", "its name is not UTF-8")]


def test_too_long_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MAX_NAME_BYTES", 10)
    touch(tmp_path, "123456.png", "1234567.png", "sub/12345.png")
    found = find_files(tmp_path)
    assert found.names == ["123456.png"]
    assert [file.name for file in found.left_out] == ["1234567.png", "sub/12345.png"]
    assert found.left_out[0].reason == "its name has 11 bytes; 10 are allowed"


def test_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "open/a.png", "shut/b.png")
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = find_files(tmp_path)
    assert found.names == ["open/a.png"]
    assert found.left_out == [fault("shut/", "permission denied")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifo_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert find_files(tmp_path).names == ["a.png"]
    with pytest.raises(BadFile, match="not a regular file"):
        read_file(tmp_path, "a.png")


@pytest.mark.parametrize("name", ["line\nfeed.png", "back\\slash.png", "bell\x07.png"])
def test_names_that_no_archive_can_hold_are_listed_with_the_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    (left,) = find_files(tmp_path).left_out
    assert left.is_fault and "no name in a file may hold" in left.reason


# --- what is left out ---


def put(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        folder.joinpath(name).write_bytes(data)


def test_pictures_are_recognised_by_their_bytes(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a{suffix}" for suffix in SUFFIXES), "b.JPG")
    names = {"no suffix": "JPEG", "photo.dat": "PNG", "IMG_1.bin": "HEIC"}
    put(tmp_path, **{name: HEADS[kind] for name, kind in names.items()})
    found = find_files(tmp_path)
    assert set(found.names) == {*names, "b.JPG", *(f"a{suffix}" for suffix in SUFFIXES)}
    assert found.left_out == []


def test_every_other_file_is_named_with_its_reason(tmp_path: Path) -> None:
    touch(tmp_path, "readme.md", "sub/data.bin", "a.png.txt", "a.png")
    put(tmp_path, **{"new.jxl": HEADS["JXL"], "film.mp4": HEADS["MP4"], "empty": b""})
    found = find_files(tmp_path)
    assert found.names == ["a.png"]
    unknown = "not a picture: file of no known picture format"
    assert [(file.name, file.reason, file.is_picture) for file in found.left_out] == [
        ("a.png.txt", unknown, False),
        ("empty", "not a picture: it is empty", False),
        ("film.mp4", "not a picture: video", False),
        ("new.jxl", "JPEG XL, a picture format that is not read", True),
        ("readme.md", unknown, False),
        ("sub/data.bin", unknown, False),
    ]
    assert not any(file.is_fault for file in found.left_out)


def test_hidden_files_and_hidden_folders_are_named_once(tmp_path: Path) -> None:
    touch(tmp_path, ".folder/a.txt", "sub/.thumbs/deep/note", "sub/a.png", ".notes")
    put(tmp_path / ".folder", **{"kept.dat": HEADS["JPEG"], "more.jpg": HEADS["JPEG"]})
    put(tmp_path, **{".hidden.png": HEADS["PNG"]})
    found = find_files(tmp_path)
    assert found.names == ["sub/a.png"]
    assert found.left_out == [
        LeftOut(name=".folder/", reason="hidden folder, with pictures in it", is_picture=True, is_fault=False),
        LeftOut(name=".hidden.png", reason="hidden file", is_picture=True, is_fault=False),
        LeftOut(name=".notes", reason="hidden file", is_picture=False, is_fault=False),
        LeftOut(name="sub/.thumbs/", reason="hidden folder", is_picture=False, is_fault=False),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_no_fifo_is_opened_to_recognise_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / ".pipe")
    reasons = {file.name: file.reason for file in find_files(tmp_path).left_out}
    assert reasons == {"pipe": "not a picture: it is not a regular file", ".pipe": "hidden file"}


def test_folders_that_all_have_the_inode_0_are_visited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "0.png", "2023/1.png", "2024/2.png", "2024/deep/3.png")
    tmp_path.joinpath("2024/up").symlink_to(tmp_path)
    stat = os.stat

    def of_a_share(path: Path, **how: bool) -> os.stat_result:
        fields = list(stat(path, **how))
        fields[1] = 0
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", of_a_share)
    assert find_files(tmp_path).names == ["0.png", "2023/1.png", "2024/2.png", "2024/deep/3.png"]


def test_names_that_differ_by_normal_form_alone() -> None:
    names = ["Mu\u0308ller.jpg", "M\u00fcller.jpg", "plain.jpg", "\u00fc/a.jpg", "u\u0308/b.jpg"]
    assert alike_names(names) == names[:2]
