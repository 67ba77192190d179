"""A file is complete or absent, and what a killed process left is removed by the next one."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from unicorn_codec.atomic_files import open_atomic

DIES_WHILE_WRITING = """
import os, sys
from pathlib import Path
from unicorn_codec.atomic_files import open_atomic
with open_atomic(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with open_atomic(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_an_error_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), open_atomic(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    subprocess.run([sys.executable, "-c", DIES_WHILE_WRITING, str(path)], check=False)
    assert path.read_bytes() == b"old" and len(os.listdir(tmp_path)) == 2
    with open_atomic(tmp_path / "b") as file:
        file.write(b"of another path")
    assert len(os.listdir(tmp_path)) == 3
    with open_atomic(path) as file:
        file.write(b"new")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.skipif(os.name != "posix", reason="needs file locks")
def test_files_that_another_process_writes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with open_atomic(path) as slow:
        slow.write(b"slow")
        with open_atomic(path) as quick:
            quick.write(b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert os.listdir(tmp_path) == ["a"]


def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    with open_atomic(tmp_path / ("x" * 255)) as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["x" * 255]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_share_that_cannot_sync_a_folder_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fsync = os.fsync

    def of_a_share(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of_a_share)
    with open_atomic(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_disk_that_cannot_sync_the_file_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="Input/output"), open_atomic(tmp_path / "a") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == []
