"""Tar and parquet files are packed like folders, and archives become such files again."""

import io
import json
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
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.errors import ImageFolderError, InvalidSetting, OutputError, PackageMissing
from unicorn_codec.pictures.images import encode_picture
from unicorn_codec.pictures.picture_files import MAX_FILE_BYTES
from unicorn_codec.shards.inputs import expand_braces, folder_of
from unicorn_codec.shards.parquet_files import read_parquet

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
    assert run("unpack", EXACT, "--all", "-o", tmp_path / "folder").exit_code == 0
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
