"""An archive is a read-only file system of fsspec: local, behind a URL, and mounted."""

import ctypes.util
import hashlib
import io
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.test_container_reading import Ranges, serving
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.errors import ArchiveUnreadable, InvalidSetting
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.packing.reports import PackReport

fsspec = pytest.importorskip("fsspec")

from unicorn_codec.filesystem import UniFileSystem  # noqa: E402 - it needs fsspec

GOLDEN = Path(__file__).parent / "golden"
EXACT = GOLDEN / "exact.uni"
MANY = 5000
MAX_BYTES = 128_000


def unpacked(path: Path, folder: Path, *options: str) -> dict[str, bytes]:
    """What ``unicorn unpack --all`` writes: bytes by relative path."""
    arguments = ["unpack", str(path), "--all", "--device", "cpu", "-o", str(folder), *options]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def is_same(path: str, found: bytes, wanted: bytes) -> bool:
    """Whether two files are equal, or are pictures within a level: together, the networks may sum in another order."""
    if found == wanted or not path.endswith(".png"):
        return found == wanted
    pictures = [np.asarray(Image.open(io.BytesIO(data))).astype(int) for data in (found, wanted)]
    return bool(np.abs(pictures[0] - pictures[1]).max() <= 1)


@pytest.mark.parametrize("name", ["codes", "exact", "transparency", "sequences"])
@pytest.mark.parametrize("listed_first", [False, True])
def test_files_are_those_that_unpack_writes(name: str, listed_first: bool, tmp_path: Path) -> None:
    wanted = unpacked(GOLDEN / f"{name}.uni", tmp_path)
    files = UniFileSystem(GOLDEN / f"{name}.uni", device="cpu")
    if listed_first:
        assert files.find("") == sorted(wanted)
    for path, data in wanted.items():
        found = files.cat_file(path)
        assert is_same(path, found, data) and files.info(path)["size"] == len(found)
        assert files.isfile(path) and files.exists(path) and not files.isdir(path)
    assert files.find("") == sorted(wanted)


def test_folders_and_patterns() -> None:
    files = UniFileSystem(EXACT, device="cpu")
    assert files.ls("", detail=False) == ["mug-000.png", "mug-001.png", "mug-002.png", "notes.txt", "small"]
    assert files.glob("mug-*.png") == ["mug-000.png", "mug-001.png", "mug-002.png"]
    assert files.glob("**/mug-000.png") == ["mug-000.png", "small/mug-000.png"]
    assert files.info("small")["type"] == files.info("")["type"] == "directory" and files.isdir("small")
    assert files.ls("notes.txt", detail=False) == ["notes.txt"]
    assert [(folder, names) for folder, _, names in files.walk("small")] == [("small", ["mug-000.png"])]
    for missing in ("mug-000.jpg", "small/none.png", "none"):
        assert not files.exists(missing)
        with pytest.raises(FileNotFoundError):
            files.info(missing)
    with pytest.raises(IsADirectoryError):
        files.cat_file("small")


def test_sizes_are_unknown_until_a_picture_is_encoded() -> None:
    files = UniFileSystem(GOLDEN / "codes.uni", device="cpu")
    assert {entry["size"] for entry in files.ls("") if entry["type"] == "file"} == {None}
    size = files.info("mug-000.png")["size"]
    assert {entry["name"]: entry["size"] for entry in files.ls("")}["mug-000.png"] == size > 0
    assert files.du("") == sum(len(files.cat_file(path)) for path in files.find(""))


def test_few_encoded_files_are_kept() -> None:
    files = UniFileSystem(GOLDEN / "codes.uni", device="cpu", cache_bytes=10_000)
    for path in files.find(""):
        files.cat_file(path)
    assert 0 < sum(map(len, files._encoded.values())) <= 10_000
    assert len(files._encoded) < len(files._sizes) == 4


def test_pictures_in_another_format() -> None:
    files = UniFileSystem(EXACT, format="jpg", device="cpu")
    assert files.find("small") == ["small/mug-000.jpg"] and files.cat_file("small/mug-000.jpg")[:2] == b"\xff\xd8"
    assert "mug-000.png" in files.find(""), "exact pictures keep their format"
    assert np.asarray(Image.open(files.open("small/mug-000.jpg"))).shape == (41, 41, 3)
    with pytest.raises(InvalidSetting):
        UniFileSystem(EXACT, format="doc")


def test_names_that_meet_and_names_to_be_cleaned_resolve_as_they_are_listed(
    coded: tuple[Path, PackReport], tmp_path: Path
) -> None:
    expected = {
        "a.jpg": "a.jpg.png",
        "a.webp": "a.webp.png",
        "b.jpg": "b.png",
        "b.png.jpg": "b.png.png",
        "C.PNG": "C.png",
        ".hidden.png": "_hidden.png",
        "x:y.png": "x_y.png.png",
        "x_y.png": "x_y.png (2).png",
        "plain": "plain.png",
        "d (2).png": "d (2).png",
    }
    path = tmp_path / "names.uni"
    path.write_bytes(copies_of_one_code(coded[0], list(expected)))
    with Archive.open(path, device="cpu") as archive:
        of_name = {name: index for index, name in archive.names.items()}
    listed = UniFileSystem(path, device="cpu")
    assert listed.find("") == sorted(expected.values())
    for name, place in expected.items():
        for files in (listed, UniFileSystem(path, device="cpu")):  # from the listing, and by a lookup
            assert files.info(place)["index"] == of_name[name], name


def copies_of_one_code(coded: Path, names: list[str]) -> bytes:
    """An archive whose pictures all have the code of the first picture of another one."""
    with Archive.open(coded) as archive:
        row = archive.reader.row(archive.indices[0])
        code, file = archive.reader.record(row).code, io.BytesIO()
        writer = ContainerWriter(file, bytes(8))
        number = writer.add_decoder(archive.reader.decoder(row.decoder))
        for index, name in enumerate(names):
            writer.add(record_of_code(index, row.width, row.height, number, code), name)
        writer.commit(seed=7)
    return file.getvalue()


def name_of(number: int) -> str:
    """A name that does not compress, of a suffix that is looked for late."""
    return f"cats/{hashlib.sha256(str(number).encode()).hexdigest()[:20]}.WEBP"


@pytest.fixture
def url(coded: tuple[Path, PackReport], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a local server with an archive of ``MANY`` pictures."""
    pytest.importorskip("aiohttp")
    names = [name_of(number) for number in range(MANY)]
    monkeypatch.setattr(Ranges, "data", copies_of_one_code(coded[0], names))
    monkeypatch.setattr(Ranges, "requests", [])
    with serving() as address:
        yield f"{address}/out.uni"


def test_one_picture_over_http_takes_few_bytes(url: str, coded: tuple[Path, PackReport]) -> None:
    files, root = fsspec.core.url_to_fs(f"uni::{url}", device="cpu")
    data = files.cat_file(name_of(3210).replace("WEBP", "png"))
    with Archive.open(coded[0], device="cpu") as archive:
        index = archive.indices[0]
        code = archive.reader.record(archive.reader.row(index)).code
        picture = np.asarray(archive[index])
    read = sum(length for _, length in Ranges.requests)
    assert root == "" and read <= MAX_BYTES + len(code), f"{read} bytes in {len(Ranges.requests)} requests"
    assert len(Ranges.data) > 1.5 * read, "the archive is larger than what was read"
    with fsspec.open(f"uni://{name_of(7).replace('WEBP', 'png')}::{url}", uni={"device": "cpu"}) as file:
        assert np.array_equal(np.asarray(Image.open(file)), picture)
    assert len(data) > len(code)


def test_archives_are_reached_by_every_way_of_fsspec(tmp_path: Path) -> None:
    wanted = UniFileSystem(EXACT, device="cpu").find("")
    fsspec.filesystem("memory").pipe_file("/folder/out.uni", EXACT.read_bytes())
    ways = (
        f"uni::{EXACT}",
        f"uni::file://{EXACT}",
        "uni::memory://folder/out.uni",
        f"uni::simplecache::file://{EXACT}",
    )
    for way in ways:
        files, root = fsspec.core.url_to_fs(way)
        assert files.find(root) == wanted
        assert pickle.loads(pickle.dumps(files)).cat_file("notes.txt") == files.cat_file("notes.txt")
    with open(EXACT, "rb") as file:
        assert UniFileSystem(file).find("") == wanted
    with pytest.raises(ArchiveUnreadable):
        UniFileSystem(tmp_path / "missing.uni")


def test_nothing_is_written() -> None:
    files = UniFileSystem(EXACT)
    with pytest.raises(OSError, match="read-only"):
        files.open("new.png", "wb")
    with pytest.raises(NotImplementedError):
        files.rm("notes.txt")


def test_a_damaged_picture_is_an_error_of_the_system(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    data = bytearray(coded[0].read_bytes())
    with Archive.open(coded[0]) as archive:
        index = archive.indices[0]
        data[archive.reader.row(index).offset + 12] ^= 255
        name = archive.name(index)
    (tmp_path / "damaged.uni").write_bytes(data)
    with pytest.raises(OSError, match=f"picture {index}"):
        UniFileSystem(tmp_path / "damaged.uni").cat_file(name)


def test_the_protocol_is_registered_without_an_import() -> None:
    program = "import sys, fsspec; print('uni' in fsspec.available_protocols(), 'unicorn_codec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"], "install the package anew: its entry points are not registered"


def why_no_mount() -> str:
    """Return why nothing can be mounted here; empty where it can."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse: {error.strerror}"
    if not (os.environ.get("FUSE_LIBRARY_PATH") or ctypes.util.find_library("fuse")):
        return "there is no libfuse2 (FUSE_LIBRARY_PATH names another place)"
    try:
        import fuse  # noqa: F401
    except ImportError:
        return "there is no fusepy"
    return ""


@pytest.mark.skipif(bool(why_no_mount()), reason=why_no_mount())
def test_a_mounted_archive_is_a_folder_of_pictures(tmp_path: Path) -> None:
    wanted = unpacked(EXACT, tmp_path / "unpacked")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    program = (
        "import fsspec, fsspec.fuse\n"
        f"files, root = fsspec.core.url_to_fs('uni::{EXACT}', device='cpu')\n"
        f"fsspec.fuse.run(files, root, {str(mounted)!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            deadline = time.monotonic() + 60
            while not os.path.ismount(mounted):
                assert process.poll() is None and time.monotonic() < deadline, "nothing was mounted"
                time.sleep(0.1)
            for path, data in wanted.items():
                assert (mounted / path).stat().st_size == len(data)
                assert (mounted / path).read_bytes() == data
            assert sorted(os.listdir(mounted)) == sorted({path.split("/")[0] for path in wanted})
            with pytest.raises(OSError):
                (mounted / "new.png").write_bytes(b"")
        finally:
            subprocess.run(["umount", str(mounted)], check=False)
            process.wait(30)
