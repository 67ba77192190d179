"""Tar and parquet files are packed like folders, and archives become such files again."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.conftest import draw
from unicorn_cli.exit_codes import ExitCode
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.atomic_files import HAS_LOCKS
from unicorn_codec.errors import ImageFolderError, InvalidSetting, OutputError, PackageMissing
from unicorn_codec.pictures.picture_files import MAX_FILE_BYTES
from unicorn_codec.pictures.picture_writing import encode_picture
from unicorn_codec.shards.inputs import expand_braces, folder_of
from unicorn_codec.shards.parquet_files import read_parquet

ROOT = Path(__file__).parent.parent
TIME = 1_700_000_000
EXACT = Path(__file__).parent / "golden" / "exact.uni"


def png(seed: int) -> bytes:
    return encode_picture(draw(seed, 24, 16))


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), TIME
            tar.addfile(info, io.BytesIO(data))
    return path


def members_of(inputs: Path | list[Path], near: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Files that are packed, and what is left out with its reason."""
    with folder_of(inputs, near) as found:
        files = {
            path.relative_to(found.root).as_posix(): path.read_bytes()
            for path in found.root.rglob("*")
            if path.is_file()
        }
    assert not found.root.exists(), "the temporary folder vanishes"
    return files, {one.name: one.reason for one in found.left_out}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def pack_fast(*arguments: object) -> Result:
    return run("pack", *arguments, "--effort", 0, "--learn", "off", "--device", "cpu")


def test_shards_of_webdataset_come_back_from_an_archive(tmp_path: Path) -> None:
    samples = {
        f"{part}/{number:03}": (png(number), json.dumps({"label": number}).encode())
        for number, part in enumerate("aabb")
    }
    for part in "ab":
        files = dict[str, bytes]()
        for key, (picture, label) in samples.items():
            if key.startswith(part):
                files |= {f"{key}.png": picture, f"{key}.json": label}
        write_tar(tmp_path / f"shard-{part}.tar", files)
    out = tmp_path / "out.uni"
    result = pack_fast(tmp_path / "shard-{a,b}.tar", out, "--exact", "--keep-others")
    assert result.exit_code == 0, result.output
    assert run("unpack", out, "--as", "tar", "-o", tmp_path / "back.tar").exit_code == 0
    with tarfile.open(tmp_path / "back.tar") as tar:
        members = tar.getmembers()
        found = {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    assert [member.name for member in members] == sorted(found), "files of a sample are neighbours"
    assert {member.mtime for member in members} == {TIME}
    wanted = {f"{key}.png": picture for key, (picture, _) in samples.items()}
    assert found == wanted | {f"{key}.json": label for key, (_, label) in samples.items()}


def test_a_tar_file_has_what_a_folder_has(tmp_path: Path) -> None:
    assert run("unpack", EXACT, "--all", "-o", tmp_path / "folder", "--no-code").exit_code == 0
    assert run("unpack", EXACT, "--as", "tar", "-o", tmp_path / "all.tar").exit_code == 0
    result = run("unpack", EXACT, "--name", "mug-*", "--as", "tar", "-o", tmp_path / "some.tar")
    assert result.exit_code == 0 and result.stdout == f"written {tmp_path / 'some.tar'}\n"
    files, _ = members_of(tmp_path / "all.tar", tmp_path / "x")
    assert files == {
        path.relative_to(tmp_path / "folder").as_posix(): path.read_bytes()
        for path in (tmp_path / "folder").rglob("*")
        if path.is_file()
    }
    assert set(members_of(tmp_path / "some.tar", tmp_path / "x")[0]) == {f"mug-00{number}.png" for number in range(3)}


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_tar_files_are_read(mode: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / f"a.tar.{mode[2:]}", {"x/1.png": png(1)}, mode)
    assert members_of(path, tmp_path / "out.uni")[0] == {"x/1.png": png(1)}


def test_hostile_members_are_left_out_and_nothing_is_written_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"untouched")
    path, near = tmp_path / "in" / "hostile.tar", tmp_path / "out" / "out.uni"
    path.parent.mkdir()
    near.parent.mkdir()
    kinds = {
        "link.png": tarfile.SYMTYPE,
        "hard.png": tarfile.LNKTYPE,
        "device.png": tarfile.CHRTYPE,
        "disk.png": tarfile.BLKTYPE,
        "pipe.png": tarfile.FIFOTYPE,
        "odd.png": b"Z",
    }
    with tarfile.open(path, "w") as tar:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(outside)
            tar.addfile(info)
        for name in (
            "../../outside.png",
            "a/../../outside.png",
            str(outside),
            "good.png",
            "./good/./2.png",
            "good.png/3",
        ):
            info = tarfile.TarInfo(name)
            info.size = len(png(1))
            tar.addfile(info, io.BytesIO(png(1)))
        through = tarfile.TarInfo("link.png/inside.png")  # a link of this name was left out, and is not followed
        tar.addfile(through)
    files, left_out = members_of(path, near)
    assert set(files) == {"good.png", "good/2.png", "link.png/inside.png"}
    assert outside.read_bytes() == b"untouched"
    outsiders = ("../../outside.png", "a/../../outside.png", str(outside))
    assert set(left_out) == {*kinds, *outsiders, "good.png/3"}
    assert left_out["link.png"] == "a link, in a tar file" and left_out["disk.png"] == "a device, in a tar file"
    assert left_out["odd.png"] == "no regular file, in a tar file"
    assert left_out[str(outside)] == "its name leads outside the shard"
    assert list(near.parent.iterdir()) == []


def test_sizes_that_no_picture_has_are_not_written(tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge.png")
    info.size = MAX_FILE_BYTES + 1
    sparse = tarfile.TarInfo("sparse.png")
    sparse.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(4096))
    (tmp_path / "b.tar").write_bytes(sparse.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(ImageFolderError, match=r"a\.tar: no tar file, or a damaged one"):
        members_of(tmp_path / "a.tar", tmp_path / "out.uni")  # it ends before its member does
    assert "a sparse file" in members_of(tmp_path / "b.tar", tmp_path / "out.uni")[1]["sparse.png"]


@pytest.mark.parametrize("data", [b"", b"no tar file" * 100, b"\x1f\x8b\x08\x00broken" * 50])
def test_what_is_no_tar_file_is_an_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(ImageFolderError, match=r"a\.tar: no tar file, or a damaged one"):
        members_of(tmp_path / "a.tar", tmp_path / "out.uni")
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar"}


def test_a_cut_tar_file_is_an_error(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": png(2)})
    path.write_bytes(path.read_bytes()[: 512 + 600 + 600])
    with pytest.raises(ImageFolderError, match="damaged"):
        members_of(path, tmp_path / "out.uni")


def test_names_that_several_shards_have_are_all_kept(tmp_path: Path) -> None:
    first = write_tar(tmp_path / "one.tar", {"1.png": png(1), "2.png": png(2)})
    second = write_tar(tmp_path / "two.tar.gz", {"1.png": png(3)}, "w:gz")
    files, _ = members_of([first, second], tmp_path / "out.uni")
    assert files == {"1.png": png(1), "2.png": png(2), "two/1.png": png(3)}


def test_errors_name_the_shard_and_not_a_temporary_folder(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": b"no picture"})
    result = pack_fast(path, tmp_path / "out.uni")
    assert result.exit_code == 1 and f"{path}: 1 of its files cannot be read" in result.stderr
    assert ".unicorn-shards" not in result.stderr and {one.name for one in tmp_path.iterdir()} == {"a.tar"}
    empty = write_tar(tmp_path / "empty.tar", {"a.txt": b"text"})
    result = pack_fast(empty, tmp_path / "out.uni")
    assert result.exit_code == 1 and "holds no pictures" in result.stderr
    for inputs in ([tmp_path, path], [path, tmp_path / "b.txt"]):
        result = pack_fast(*inputs, tmp_path / "out.uni")
        assert result.exit_code == 1 and "give one folder, or tar and parquet files" in result.stderr
    result = pack_fast(tmp_path / "missing.tar", tmp_path / "out.uni")
    assert result.exit_code == 1 and "missing.tar: no such file" in result.stderr
    with pytest.raises(OutputError, match="cannot write to"):
        members_of(path, tmp_path / "nowhere" / "out.uni")


def test_braces_stand_for_several_paths(tmp_path: Path) -> None:
    assert expand_braces("s-{008..011}.tar") == [Path(f"s-{number:03}.tar") for number in range(8, 12)]
    assert expand_braces("{3..1}") == [Path("3"), Path("2"), Path("1")]
    assert expand_braces("{a,b}/{1..2}.tar") == [Path(one) for one in ("a/1.tar", "a/2.tar", "b/1.tar", "b/2.tar")]
    assert expand_braces("{a}.tar") == [Path("{a}.tar")] and expand_braces("a.tar") == [Path("a.tar")]
    (tmp_path / "{a,b}.tar").touch()
    assert expand_braces(tmp_path / "{a,b}.tar") == [tmp_path / "{a,b}.tar"]
    for pattern in ("{0..99999999}.tar", "{0..999}{0..999}.tar"):
        with pytest.raises(InvalidSetting, match="more than"):
            expand_braces(pattern)


def test_a_shard_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.tar"
    path.write_bytes(b"mine")
    result = run("unpack", EXACT, "--as", "tar", "-o", path)
    assert result.exit_code == 1 and "--overwrite" in result.stderr and path.read_bytes() == b"mine"
    assert run("unpack", EXACT, "--as", "tar", "-o", path, "--overwrite").exit_code == 0
    assert run("unpack", EXACT, "--as", "tar", "-o", "-").exit_code == 2
    assert "is a folder" in run("unpack", EXACT, "--as", "tar", "-o", tmp_path).stderr
    assert "cannot write" in run("unpack", EXACT, "--as", "tar", "-o", tmp_path / "no" / "a.tar").stderr


def test_damaged_pictures_are_left_out_of_a_shard(tmp_path: Path) -> None:
    with Archive.open(EXACT) as archive:
        row = archive.reader.row(archive.indices[0])
    data = bytearray(EXACT.read_bytes())
    data[row.offset + row.length // 2] ^= 255
    (tmp_path / "a.uni").write_bytes(data)
    result = run("unpack", tmp_path / "a.uni", "--as", "tar", "-o", tmp_path / "a.tar")
    assert result.exit_code == 3 and f"lost: picture {row.index}" in result.stderr
    assert len(members_of(tmp_path / "a.tar", tmp_path / "x")[0]) == 4
    result = run("unpack", tmp_path / "a.uni", "--as", "tar", "-o", tmp_path / "b.tar", "--json")
    assert row.index not in {one["index"] for one in json.loads(result.stdout)["written"]}


def test_parquet_files_come_back_from_an_archive(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = [
        {"image": {"bytes": png(number), "path": f"cats/{number}.png"}, "label": number, "caption": f"a 'cat' {number}"}
        for number in range(70)
    ]
    arrow.parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "in.parquet")
    out = tmp_path / "out.uni"
    assert pack_fast(tmp_path / "in.parquet", out, "--exact", "--keep-others").exit_code == 0
    result = run("unpack", out, "--as", "parquet", "-o", tmp_path / "back.parquet")
    assert result.exit_code == 0 and "warning" not in result.stderr
    table = arrow.parquet.read_table(tmp_path / "back.parquet")
    found = {row["name"]: row for row in table.to_pylist()}
    assert {name: row["image"]["bytes"] for name, row in found.items()} == {
        row["image"]["path"]: row["image"]["bytes"] for row in rows
    }
    for row in rows:
        others = json.loads(found[row["image"]["path"]]["json"])
        assert others == {"label": row["label"], "caption": row["caption"]}
    first = found["cats/0.png"]
    assert (first["width"], first["height"]) == (24, 16)
    again, _ = members_of(tmp_path / "back.parquet", tmp_path / "x")
    assert again == members_of(tmp_path / "in.parquet", tmp_path / "x")[0]


def test_data_sets_of_hugging_face_read_the_pictures(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "out.parquet"
    result = run("unpack", EXACT, "--as", "parquet", "-o", path)
    assert result.exit_code == 0 and "1 file without a place" in result.stderr
    rows = datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    with Archive.open(EXACT, device="cpu") as archive:
        assert sorted(rows["index"]) == archive.indices
        for row in rows:
            assert row["name"] == archive.name(row["index"])
            assert np.array_equal(np.asarray(row["image"].convert("RGB")), np.asarray(archive[row["index"]]))
            assert isinstance(row["modified"], datetime)


def test_names_and_pictures_of_parquet_files(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")

    def names(rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
        arrow.parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
        found, left_out = members_of(tmp_path / "a.parquet", tmp_path / "x")
        return sorted(found), sorted(left_out)

    assert names([{"image": png(1)}, {"image": png(2)}]) == (["000000.png", "000001.png"], [])
    assert names([{"img": png(1), "file_name": "a/b"}]) == (["a/b.png"], [])
    assert names([{"bytes_of_it": png(1), "name": "a.jpg"}]) == (["a.jpg"], [])
    outside = {"image": {"bytes": None, "path": "/etc/passwd"}, "label": 1}
    inside = {"image": {"bytes": png(1), "path": "../up.png"}, "label": 1}
    assert names([outside, inside]) == ([], ["../up.json", "../up.png", "/etc/passwd"])
    wrong: list[list[dict[str, Any]]] = [[{"label": 1}], [{"a": b"1", "b": b"2"}]]
    for rows in wrong:
        with pytest.raises(ImageFolderError, match="it needs one column of pictures"):
            names(rows)
    times = [{"image": png(1), "modified": datetime.fromtimestamp(TIME, UTC)}]
    arrow.parquet.write_table(arrow.Table.from_pylist(times), tmp_path / "a.parquet")
    assert [member.modified_ns for member in read_parquet(tmp_path / "a.parquet")] == [TIME * 10**9]
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no parquet file PAR1")
    with pytest.raises(ImageFolderError, match="no parquet file, or a damaged one"):
        members_of(tmp_path / "a.parquet", tmp_path / "x")


def test_without_pyarrow_an_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PackageMissing, match=r"unicorn-codec\[parquet\]"):
        members_of(tmp_path / "a.parquet", tmp_path / "x")
    result = run("unpack", EXACT, "--as", "parquet", "-o", tmp_path / "b.parquet")
    assert result.exit_code == 1 and "[parquet]" in result.stderr and list(tmp_path.iterdir()) == []


def test_pictures_of_other_modes_survive_the_way_through_a_tar_file(tmp_path: Path) -> None:
    clear = np.dstack([draw(1, 24, 16), np.linspace(0, 255, 24, dtype=np.uint8)[None].repeat(16, 0)])
    file = io.BytesIO()
    Image.fromarray(clear).save(file, "PNG")
    path = write_tar(tmp_path / "a b.tar", {"clear one.png": file.getvalue()})
    assert pack_fast(path, tmp_path / "out.uni").exit_code == 0
    assert run("unpack", tmp_path / "out.uni", "--as", "tar", "-o", tmp_path / "b.tar").exit_code == 0
    files, _ = members_of(tmp_path / "b.tar", tmp_path / "x")
    assert Image.open(io.BytesIO(files["clear one.png"])).mode == "RGBA"


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An archive of one shard to which another was added, and both shards."""
    first = write_tar(tmp_path / "my shard-0.tar", {"a/1.png": png(1), "a/1.json": b"{}"})
    second = write_tar(tmp_path / "my shard-1.tar.gz", {"a/2.png": png(2), "b 3.png": png(3)}, "w:gz")
    out = tmp_path / "out.uni"
    assert pack_fast(first, out, "--exact", "--keep-others").exit_code == 0
    result = run("add", out, second, "--exact", "--device", "cpu")
    assert result.exit_code == 0 and "2 pictures added" in result.output, result.output
    return out, first, second


def test_shards_are_added_to_an_archive(grown: tuple[Path, Path, Path]) -> None:
    out, first, second = grown
    with Archive.open(out, device="cpu") as archive:
        assert set(archive.member_names.values()) == {"a/1.png", "a/1.json", "a/2.png", "b 3.png"}
    before = out.read_bytes()
    result = run("add", out, second, "--device", "cpu")
    assert result.exit_code == 1 and "the archive has these names already: a/2.png, b 3.png" in result.stderr
    result = run("add", out, first.with_name("missing.tar"))
    assert result.exit_code == 1 and "missing.tar: no such file" in result.stderr
    assert run("add", first.with_name("no.uni"), first).exit_code == 1
    assert out.read_bytes() == before
    assert {path.name for path in out.parent.iterdir()} == {out.name, first.name, second.name}


def test_what_shards_hold_besides_regular_files_is_reported_by_adding(grown: tuple[Path, Path, Path]) -> None:
    out, first, _ = grown
    with tarfile.open(first, "w") as tar:
        link, info = tarfile.TarInfo("link.png"), tarfile.TarInfo("new.png")
        link.type, link.linkname, info.size = tarfile.SYMTYPE, "new.png", len(png(5))
        tar.addfile(link)
        tar.addfile(info, io.BytesIO(png(5)))
    result = run("add", out, first, "--json", "--device", "cpu")
    (left_out,) = json.loads(result.stdout)["left_out"]
    assert (left_out["name"], left_out["reason"]) == ("link.png", "a link, in a tar file")


def test_an_archive_is_compared_with_the_shards_that_it_was_packed_from(grown: tuple[Path, Path, Path]) -> None:
    out, first, second = grown
    result = run("verify", out, "--against", first, "--against", second, "--device", "cpu")
    assert result.exit_code == 0 and "intact, 3 pictures" in result.stdout, result.output
    result = run("verify", out, "--against", first, "--device", "cpu")
    assert result.exit_code == 1 and "b 3.png: not in the folder" in result.stdout
    other = write_tar(first.with_name("other.tar"), {"a/1.png": png(9), "a/1.json": b"[]", "b 3.png": png(3)})
    result = run("verify", out, "--against", other, "--ignore-others", "--device", "cpu")
    assert result.exit_code == 1
    assert "a/1.png: its bytes are not those of the archive" in result.stdout
    assert "a/1.json: its bytes are not those of the archive" in result.stdout
    result = run("verify", out, "--against", first, "--against", first.parent, "--device", "cpu")
    assert result.exit_code == 1 and "give one folder, or tar and parquet files" in result.stderr


def test_pictures_of_a_shard_that_cannot_be_compared_are_listed(grown: tuple[Path, Path, Path]) -> None:
    out, first, second = grown
    with tarfile.open(first, "a") as tar:
        link = tarfile.TarInfo("a/4.png")
        link.type, link.linkname = tarfile.SYMTYPE, "1.png"
        tar.addfile(link)
    result = run("verify", out, "--against", first, "--against", second, "--device", "cpu")
    assert result.exit_code == 1 and "a/4.png: not compared (a link, in a tar file)" in result.stdout


def test_an_archive_is_compared_with_a_parquet_file(grown: tuple[Path, Path, Path]) -> None:
    pytest.importorskip("pyarrow")
    out = grown[0]
    shard = out.with_name("all.parquet")
    assert run("unpack", out, "--as", "parquet", "-o", shard).exit_code == 0
    result = run("verify", out, "--against", shard, "--device", "cpu")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("members", [0, 1, 2])
def test_a_tar_file_that_ends_between_two_members_is_an_error(members: int, mode: str, tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", {"1.png": png(1), "2.png": png(2), "3.png": png(3)})
    with tarfile.open(whole) as tar:
        end = [member.offset for member in tar.getmembers()][members]
    cut = whole.read_bytes()[:end]
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(cut) if mode == "w:gz" else cut)
    with pytest.raises(ImageFolderError, match=r"a\.tar: .*it has no end"):
        members_of(path, tmp_path / "out.uni")
    result = pack_fast(path, tmp_path / "out.uni")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert {one.name for one in tmp_path.iterdir()} == {"a.tar", "whole.tar"}


def test_one_block_of_zeros_is_the_end_of_a_tar_file(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1)})
    with tarfile.open(path) as tar:
        (member,) = tar.getmembers()
        end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    path.write_bytes(path.read_bytes()[: end + tarfile.BLOCKSIZE])
    assert members_of(path, tmp_path / "out.uni")[0] == {"1.png": png(1)}


def test_a_cut_or_changed_parquet_file_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    assert run("unpack", EXACT, "--as", "parquet", "-o", path).exit_code == 0
    data = path.read_bytes()
    for length in (0, 4, 8, len(data) // 2, len(data) - 8, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ImageFolderError, match=r"a\.parquet: no parquet file, or a damaged one"):
            members_of(path, tmp_path / "out.uni")
    path.write_bytes(data[: len(data) // 3] + bytes([data[len(data) // 3] ^ 1]) + data[len(data) // 3 + 1 :])
    with pytest.raises(ImageFolderError, match=r"a\.parquet: no parquet file, or a damaged one"):
        members_of(path, tmp_path / "out.uni")


@pytest.mark.skipif(not HAS_LOCKS, reason="without locks nothing says which folders are in use")
def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1)})
    program = (
        "import sys, time; from pathlib import Path; from unicorn_codec.shards.inputs import folder_of\n"
        "with folder_of(sys.argv[1], Path(sys.argv[2])) as found: print(found.root, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "out.uni")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        root = Path(running.stdout.readline().strip())
        assert [one.name for one in root.iterdir()] == ["1.png"]
        members_of(path, tmp_path / "out.uni")
        assert root.exists(), "a folder that is in use stays"
        running.kill()
    assert root.exists()
    (tmp_path / "photos").mkdir()
    with folder_of(tmp_path / "photos", tmp_path / "out.uni"):  # whatever is packed next
        assert {one.name for one in tmp_path.iterdir()} == {"a.tar", "photos"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal TERM")
def test_a_run_that_is_stopped_by_sigterm_leaves_nothing(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tar", {f"{number}.png": encode_picture(draw(number, 96, 96)) for number in range(40)}
    )
    command = [sys.executable, "-m", "unicorn_cli", "pack", str(path), str(tmp_path / "out.uni"), "--effort", "40"]
    command += ["--device", "cpu", "--learn", "off", "--no-avif", "--no-sequences"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline(), "the shard is unpacked, and its pictures are read"
        running.terminate()
        assert running.wait(60) == ExitCode.INTERRUPTED
        assert b"Traceback" not in running.stderr.read()
    left = {one.name for one in tmp_path.iterdir()}
    assert not [name for name in left if name.startswith(".unicorn-shards-")] and "out.uni" not in left
