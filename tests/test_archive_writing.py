"""Archives appear whole or not at all, and never in place of something that was not to be replaced."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.sample_network import HEADER
from unicorn_codec import errors
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.packing.archive_writing import check_output, read_packed, write_packed
from unicorn_codec.packing.packed import Codes, PackedPictures

SIZES = np.array([(8, 8), (16, 8), (16, 8)], np.int32)
NAMES = ("a.png", "b/d.jpg", "b/\u00e7.jpg")
CODES = Codes(level=5, model_sha256=bytes(range(32, 64)), streams=(b"\0", b"\xff\2first", b"\xff\3\1later"))
PACKED = PackedPictures(header=replace(HEADER, denoising=None), sizes=SIZES, names=NAMES, codes=CODES)


def test_a_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    assert write_packed(path, PACKED) == path.stat().st_size
    assert problems_of(ContainerReader(FileSource(path))) == []
    found = read_packed(path)
    assert found.codes is not None and found.codes.streams == CODES.streams, "parents are positions again"
    assert (found.names, found.header.pictures, found.header.latent_step) == (NAMES, 3, 0.1)
    assert np.array_equal(found.sizes, SIZES)
    assert os.listdir(tmp_path) == ["out.uni"]


def test_the_same_pictures_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a.uni", "b.uni"):
        write_packed(tmp_path / name, PACKED)
    assert (tmp_path / "a.uni").read_bytes() == (tmp_path / "b.uni").read_bytes()
    write_packed(tmp_path / "c.uni", replace(PACKED, names=("a.png", "b.png", "c.png")))
    ids = [ContainerReader(FileSource(tmp_path / name)).footer.archive_id for name in ("a.uni", "b.uni", "c.uni")]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    "changes", [{"weights": b"w"}, {"codes": None}, {"names": NAMES[1:]}, {"header": HEADER}], ids=str
)
def test_pictures_that_cannot_be_written(changes: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidSetting):
        replace(PACKED, **changes)  # type: ignore[arg-type]


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    path.write_bytes(b"precious")
    with pytest.raises(errors.OutputError, match="exists already"):
        write_packed(path, PACKED)
    assert path.read_bytes() == b"precious"
    write_packed(path, PACKED, overwrite=True)
    assert len(read_packed(path).names) == 3


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "out.uni"
    path.write_bytes(b"precious")
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(errors.OutputError, match="No space left"):
        write_packed(path, PACKED, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["out.uni"]


@pytest.mark.parametrize("names", [("b", "a\n", "c"), ("/a", "b", "c"), ("a", "b/../c", "d"), ("a\\b", "c", "d")])
def test_names_that_cannot_be_written_leave_nothing(names: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidSetting):
        write_packed(tmp_path / "out.uni", replace(PACKED, names=names))
    assert os.listdir(tmp_path) == []


def test_outputs_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.OutputError, match="is a folder"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(errors.OutputError, match="does not exist"):
        check_output(tmp_path / "no" / "out.uni", overwrite=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(errors.OutputError, match="may not be written"):
        check_output(tmp_path / "out.uni", overwrite=False)
