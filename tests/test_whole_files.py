"""Originals and other files, from a folder to an archive and back, byte for byte."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.picture_writers import SCENE, png_of
from unicorn_cli.main import cli
from unicorn_cli.whole_files import with_values
from unicorn_codec.archive import Archive
from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.config import CodesOptions, MetadataOptions, OriginalOptions
from unicorn_codec.errors import ImageFolderError, IndexOutOfRange, InvalidSetting, NotAPicture, PackageMissing
from unicorn_codec.format.growth import compact
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.limits import MAX_PIECE_BYTES
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.stored_files import PNG
from unicorn_codec.packing.add import add
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures import jpeg_transcoding, original_files
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.folders import find_files
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.verification import verify

ALL = OriginalOptions(patterns=("*",), keep_others=True)
TIME_NS = 981_173_106_123_456_789


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="unicorn")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def make_folder(folder: Path) -> Path:
    """A folder of pictures and of all that is none, with times."""
    below, hidden = folder / "sub" / "deep", folder / ".hidden"
    below.mkdir(parents=True)
    hidden.mkdir()
    image = Image.fromarray(SCENE)
    image.save(folder / "a.jpg", quality=90, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    image.save(below / "b.JPG", quality=70, progressive=True)
    (folder / "c.png").write_bytes(png_of(SCENE))
    Image.fromarray(np.dstack([SCENE, SCENE[..., 0]])).save(below / "alpha.png")
    image.save(folder / "d.bmp")
    image.save(folder / "film.gif", save_all=True, append_images=[Image.fromarray(255 - SCENE)])
    image.save(below / "pages.tif", save_all=True, append_images=[Image.fromarray(255 - SCENE)])
    (folder / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90))
    (folder / "raw.nef").write_bytes(b"MM\0*" + bytes(range(200)))
    (folder / "a.jpg.xmp").write_text("<x:xmpmeta/>")
    (below / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + os.urandom(MAX_PIECE_BYTES))
    (below / "facts.json").write_text("{}")
    (below / "empty.txt").write_text("")
    (folder / ".nomedia").write_text("")
    (hidden / "thumbnail.jpg").write_bytes((folder / "a.jpg").read_bytes())
    for number, path in enumerate(sorted(files_of(folder))):
        os.utime(path, ns=(TIME_NS + number, TIME_NS + number))
    return folder


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of every file below a folder."""
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files_of(folder)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("whole") / "in")


@pytest.fixture(scope="module")
def packed(folder: Path) -> tuple[Path, PackReport]:
    """An archive of the folder with all that is in it, and the report."""
    path = folder.parent / "all.uni"
    return path, pack(folder, path, CodesOptions(device="cpu", originals=ALL))


def test_a_whole_folder_comes_back_with_its_times(
    folder: Path, packed: tuple[Path, PackReport], tmp_path: Path
) -> None:
    assert run("unpack", packed[0], "--all", "-o", tmp_path / "out").exit_code == 0
    assert contents(tmp_path / "out") == contents(folder)


def test_the_report_says_what_is_exact_and_what_is_kept(packed: tuple[Path, PackReport]) -> None:
    report = packed[1]
    exact, kept = {"a.jpg", "sub/deep/b.JPG", "c.png", "d.bmp"}, {file.name for file in report.kept}
    assert report.left_out == () and report.exact_pictures == report.pictures >= len(exact)
    assert {"a.jpg.xmp", "sub/deep/empty.txt", ".nomedia", ".hidden/thumbnail.jpg", "raw.nef"} <= kept
    assert not exact & kept
    assert report.kept_files == len(kept)
    assert report.kept_bytes > MAX_PIECE_BYTES
    assert report.measured.psnr_db.min == np.inf
    assert sum(part.bytes for part in report.parts) == report.file_bytes


def test_exact_pictures_decode_to_their_pixels(folder: Path, packed: tuple[Path, PackReport]) -> None:
    read = CodesOptions().read
    with Archive.open(packed[0], device="cpu") as archive:
        assert len(archive) == len(archive.indices) < len(archive.members)
        listed = {p.name: p for p in list_folder(folder, read, None, ALL).all_pictures}
        assert {*archive.names.values()} == {*listed}
        (index,) = archive.find("sub/deep/b.JPG")
        found = list_folder(folder, read, None, ALL)
        assert np.array_equal(np.asarray(archive[index]), read_picture(found, listed["sub/deep/b.JPG"], read))
        assert archive.is_picture(index) and archive.is_whole(index)
        (film,) = archive.find("film.gif")
        assert np.asarray(archive[film]).shape == SCENE.shape  # its first frame
        assert archive.metadata(archive.find("a.jpg")[0]).facts.file_bytes == (folder / "a.jpg").stat().st_size


def test_a_file_that_is_no_picture_cannot_be_decoded(packed: tuple[Path, PackReport]) -> None:
    with Archive.open(packed[0], device="cpu") as archive:
        (index,) = archive.find("a.jpg.xmp")
        assert not archive.is_picture(index) and index not in archive.names
        assert b"".join(archive.file_pieces(index)) == b"<x:xmpmeta/>"
        assert archive.modified_ns(index) is not None
        with pytest.raises(NotAPicture, match="unpack"):
            archive.decode([index])


def test_a_code_has_no_file(tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / "a.bmp")
    pack(tmp_path, tmp_path / "a.uni", CodesOptions(device="cpu", effort=0))
    with Archive.open(tmp_path / "a.uni", device="cpu") as archive:
        assert not archive.is_whole(0)
        with pytest.raises(IndexOutOfRange, match="no exact one"):
            archive.stored_file(0)


def test_verify_restores_files_and_compares_their_bytes(folder: Path, packed: tuple[Path, PackReport]) -> None:
    report = verify(packed[0], folder, device="cpu")
    assert report.ok and report.measured is not None and report.measured.psnr_db.min == np.inf
    path = folder / "a.jpg.xmp"
    before, times = path.read_bytes(), path.stat()
    try:
        path.write_text("other")
        assert verify(packed[0], folder, device="cpu").differences == (
            "a.jpg.xmp: its bytes are not those of the archive",
        )
        path.unlink()
        assert verify(packed[0], folder, device="cpu").differences == ("a.jpg.xmp: not in the folder",)
        (folder / ".new").write_text("new")
        assert ".new: not in the archive" in verify(packed[0], folder, device="cpu").differences
    finally:
        (folder / ".new").unlink(missing_ok=True)
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_verify_names_a_file_whose_bytes_are_others(
    packed: tuple[Path, PackReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(original_files._DECODERS, PNG, lambda *_: b"?")
    report = verify(packed[0], device="cpu")
    assert not report.ok and any("(c.png)" in line and "SHA-256" in line for line in report.damage)


def test_inspect_shows_kind_and_bytes(folder: Path, packed: tuple[Path, PackReport]) -> None:
    values = json.loads(run("inspect", packed[0], "--entries", "--json").stdout)
    codecs = {entry["name"]: entry["codec"] for entry in values["entries"]}
    assert (codecs["a.jpg"], codecs["a.jpg.xmp"]) == ("exact", "file")
    assert values["files"] == sum(codec == "file" for codec in codecs.values()) and values["removed"] == 0
    index = next(entry["index"] for entry in values["entries"] if entry["name"] == "sub/deep/film.mp4")
    picture = json.loads(run("inspect", packed[0], "--index", index, "--json").stdout)
    assert picture["file_bytes"] == (folder / "sub/deep/film.mp4").stat().st_size
    assert picture["stored_as"] == "pieces" and picture["piece_bytes"] > MAX_PIECE_BYTES
    assert "pieces" in run("inspect", packed[0], "--index", index).stdout
    assert "other files" in run("inspect", packed[0], "--entries").stdout


def test_unpack_gives_one_member_in_each_way(
    folder: Path, packed: tuple[Path, PackReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Archive.open(packed[0], device="cpu") as archive:
        index, other = archive.find("a.jpg")[0], archive.find("sub/deep/facts.json")[0]
    original = (folder / "a.jpg").read_bytes()
    run("unpack", packed[0], "--index", index)
    assert Path("a.jpg").read_bytes() == original
    run("unpack", packed[0], "--index", index, "-o", "same.jpg")
    assert Path("same.jpg").read_bytes() == original
    run("unpack", packed[0], "--index", index, "-o", "other.png")
    assert Image.open("other.png").format == "PNG"
    run("unpack", packed[0], "--index", index, "--format", "webp")
    assert Image.open(f"{index}.webp").format == "WEBP"
    run("unpack", packed[0], "--index", other)
    assert Path("facts.json").read_text() == "{}"
    run("unpack", packed[0], "--name", "*.json", "-o", "files")
    assert Path("files/sub/deep/facts.json").read_text() == "{}"
    assert run("unpack", packed[0], "--index", index, "-o", "-").stdout_bytes == original


def test_a_format_is_for_pictures_alone(packed: tuple[Path, PackReport], tmp_path: Path) -> None:
    run("unpack", packed[0], "--all", "--format", "png", "-o", tmp_path)
    assert Image.open(tmp_path / "a.png").format == "PNG"
    assert (tmp_path / "a.jpg.xmp").read_text() == "<x:xmpmeta/>"


def test_a_pattern_makes_some_pictures_exact(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed.uni"
    result = run("pack", folder, out, "--exact", "*.PNG", "--keep-others", "--effort", 0, "--device", "cpu", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    entries = json.loads(run("inspect", out, "--entries", "--json").stdout)["entries"]
    codecs = {entry["name"]: entry["codec"] for entry in entries}
    assert codecs["c.png"] == codecs["sub/deep/alpha.png"] == "exact"
    assert codecs["a.jpg"] not in ("exact", "file") and codecs["film.gif"] == "file"
    assert report["exact_pictures"] == sum(codec == "exact" for codec in codecs.values())
    assert run("unpack", out, "--all", "-o", tmp_path / "back").exit_code == 0
    assert (tmp_path / "back/c.png").read_bytes() == (folder / "c.png").read_bytes()
    assert (tmp_path / "back/a.png").exists() and not (tmp_path / "back/a.jpg").exists()
    assert verify(out, folder, device="cpu").ok


def test_files_are_added_removed_compacted(folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    Image.fromarray(SCENE).save(start / "first.bmp")
    path = tmp_path / "a.uni"
    pack(start, path, CodesOptions(device="cpu", effort=0))
    result = run("add", path, folder, "--exact", "--keep-others", "--device", "cpu")
    assert result.exit_code == 0 and "other file" in result.stdout
    assert problems_of(ContainerReader(FileSource(path))) == []
    run("unpack", path, "--all", "-o", tmp_path / "back")
    assert contents(folder).items() <= contents(tmp_path / "back").items()
    before = path.stat().st_size
    assert run("remove", path, "--name", "*.mp4", "--name", "a.jpg").exit_code == 0
    compact(path)
    assert path.stat().st_size < before - MAX_PIECE_BYTES
    assert problems_of(ContainerReader(FileSource(path))) == []
    saved = tmp_path / "saved.uni"
    assert run("repair", path, saved).exit_code == 0
    run("unpack", saved, "--name", "c.png", "-o", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() == (folder / "c.png").read_bytes()


def test_without_lepton_jpegs_come_back_by_jpeg_xl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.tile(SCENE, (3, 3, 1))).save(tmp_path / "in" / "a.jpg", quality=95)
    options = CodesOptions(device="cpu", originals=OriginalOptions(patterns=("*",)))
    pack(tmp_path / "in", tmp_path / "with.uni", options)
    monkeypatch.setattr(jpeg_transcoding, "lepton_package", lambda: None)
    pack(tmp_path / "in", tmp_path / "without.uni", options)
    ways = [
        json.loads(run("inspect", tmp_path / f"{n}.uni", "--index", 0, "--json").stdout) for n in ("with", "without")
    ]
    assert ways[1]["stored_as"] == "jpeg-xl"
    run("unpack", tmp_path / "without.uni", "--all", "-o", tmp_path / "back")
    assert (tmp_path / "back/a.jpg").read_bytes() == (tmp_path / "in/a.jpg").read_bytes()
    if ways[0]["stored_as"] == "lepton":
        result = run("unpack", tmp_path / "with.uni", "--all", "-o", tmp_path / "none")
        assert result.exit_code == 1 and "pip install 'unicorn-codec[exact]'" in result.stderr
        with pytest.raises(PackageMissing):
            verify(tmp_path / "with.uni", device="cpu")


def test_whole_files_contradict_other_wishes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="--strip"):
        CodesOptions(originals=ALL, metadata=MetadataOptions(keep_gps=False))
    for option in (("--bpp", "1"), ("--size", "3MB"), ("--strip", "all")):
        assert run("pack", folder, tmp_path / "a.uni", "--exact", *option).exit_code == 1
    assert run("pack", folder, tmp_path / "a.uni", "--exact", "--index-only").exit_code == 2
    with pytest.raises(InvalidSetting, match=r"\*\.pgn"):
        list_folder(folder, CodesOptions().read, None, OriginalOptions(patterns=("*.pgn",)))


def test_without_these_options_other_files_are_listed(folder: Path) -> None:
    with pytest.raises(ImageFolderError, match=r"film\.gif"):
        list_folder(folder, CodesOptions().read)
    read = CodesOptions(originals=ALL).read
    found = list_folder(folder, read, None, OriginalOptions(keep_others=True))
    assert found.left_out == () and not found.exact and {p.name for p in found.pictures} >= {"a.jpg", "c.png"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--exact", "in", "out.uni"], ["--exact=*", "in", "out.uni"]),
        (["in", "--exact", "*.png", "out.uni"], ["in", "--exact=*.png", "out.uni"]),
        (["in", "out.uni", "--exact"], ["in", "out.uni", "--exact=*"]),
        (["--exact=a.png", "in"], ["--exact=a.png", "in"]),
        (["--exact", "--effort", "0"], ["--exact=*", "--effort", "0"]),
        (["--", "--exact", "*"], ["--", "--exact", "*"]),
    ],
)
def test_exact_takes_no_folder_for_its_pattern(given: list[str], meant: list[str]) -> None:
    assert with_values(given) == meant


def test_a_folder_with_a_wildcard_in_its_name_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos [1]").mkdir()
    assert with_values(["--exact", "photos [1]", "out.uni"]) == ["--exact=*", "photos [1]", "out.uni"]


def test_options_match_names_of_either_case_and_form() -> None:
    wanted: list[tuple[str, str, bool]] = [
        ("IMG.PNG", "*.png", True),
        ("sub/a.png", "*.png", True),
        ("e\u0301.jpg", "\u00e9*", True),
        ("a.png", "b*", False),
    ]
    for name, pattern, matches in wanted:
        assert OriginalOptions(patterns=(pattern,)).wants(name) is matches


def test_packing_is_reproducible(folder: Path, tmp_path: Path) -> None:
    def once(path: Path) -> bytes:
        pack(folder, path, CodesOptions(device="cpu", originals=ALL))
        return path.read_bytes()

    assert once(tmp_path / "a.uni") == once(tmp_path / "b.uni")


def test_a_picture_that_changes_while_it_is_packed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(SCENE).save(tmp_path / "in" / "a.bmp")
    original = list_folder

    def listed(*arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        (tmp_path / "in" / "a.bmp").write_bytes(b"other")
        return found

    monkeypatch.setattr("unicorn_codec.packing.pack.list_folder", listed)
    with pytest.raises(ImageFolderError, match="changed"):
        pack(tmp_path / "in", tmp_path / "a.uni", CodesOptions(originals=OriginalOptions(patterns=("*",))))
    assert not (tmp_path / "a.uni").exists()


def test_an_archive_in_its_own_folder_is_not_packed_into_itself(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    make_demo_pictures(folder, 2, 48, 0)
    (folder / "notes.txt").write_text("kept\n")
    output = folder / "out.uni"
    options = CodesOptions(
        effort=0, device="cpu", learning=None, originals=OriginalOptions(keep_others=True), overwrite=True
    )
    first = pack(folder, output, options)
    (folder / "out.uni.checkpoint").write_bytes(b"unfinished")
    (folder / "link.uni").symlink_to("out.uni")
    (folder / "other.uni").write_bytes(b"kept too")
    with open_atomic(folder / "out.uni"):
        listed = find_files(folder, keep_others=True, output=output)
        assert len(listed.left_out) == 4, "with the temporary file"
        assert [file.name for file in listed.others] == ["notes.txt", "other.uni"]
    (folder / "out.uni").unlink()
    pack(folder, output, options)
    (folder / "out.uni.checkpoint").write_bytes(b"unfinished")
    again = pack(folder, output, options)
    assert {file.name for file in again.kept} == {"notes.txt", "other.uni"} and first.kept_files == 1
    assert {file.name for file in again.left_out} == {"out.uni", "out.uni.checkpoint", "link.uni"}
    assert verify(output, against=folder, device="cpu").ok
    (folder / "more").mkdir()
    (folder / "more" / "archive").symlink_to("../out.uni")
    (folder / "more" / "new.txt").write_text("new\n")
    Image.open(next(folder.glob("*.png"))).save(folder / "more" / "new.bmp")
    added = add(output, folder / "more", replace(options, overwrite=False))
    assert {file.name for file in added.kept} == {"new.txt"}
    assert {file.name for file in added.left_out} == {"archive"}
