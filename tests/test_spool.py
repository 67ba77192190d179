"""Spools, checkpoints that grow, and what a picture costs in memory while a folder is packed."""

import os
import random
import tracemalloc
from pathlib import Path

import pytest

from benchmarks.large_pack import CODE_BYTES, pack_stubs
from unicorn_codec import checkpoints, spool
from unicorn_codec.checkpoints import CodesCheckpoint
from unicorn_codec.errors import CheckpointMismatch, OutputError
from unicorn_codec.spool import Spool, SpooledCodes
from unicorn_codec.transform.autoencoder import PackagedAutoencoder


@pytest.fixture(params=[0, 1 << 20], ids=["in a file", "in memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(spool, "IN_MEMORY", request.param or 1)
    return Spool(tmp_path)


def test_a_spool_gives_back_what_it_was_given(kept: Spool) -> None:
    known = dict[int, bytes]()
    for number, position in enumerate([5, 0, 900, 5, 17, 0]):
        kept[position] = known[position] = bytes([number]) * (number * 300 + 1)
    assert dict(kept) == known and list(kept) == sorted(known) and len(kept) == len(known)
    assert kept.total == sum(map(len, known.values()))
    assert 3 not in kept and -1 not in kept and kept.get(3) is None
    del kept[900], known[900]
    assert dict(kept) == known and kept.total == sum(map(len, known.values()))
    for missing in (900, 4, -1):
        with pytest.raises(KeyError):
            kept[missing]


def test_a_spool_leaves_no_file(kept: Spool, tmp_path: Path) -> None:
    kept[0] = bytes(1 << 16)
    assert list(tmp_path.iterdir()) == []


def test_a_spool_holds_no_empty_bytes(kept: Spool) -> None:
    with pytest.raises(ValueError, match="no bytes for position 3"):
        kept[3] = b""
    assert len(kept) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    kept = Spool(tmp_path)
    kept._file = open("/dev/full", "r+b", buffering=0)  # type: ignore[assignment]  # noqa: SIM115
    with pytest.raises(OutputError, match="No space left"):
        kept[0] = b"code"
    kept._file.close()


def test_spooled_codes_are_a_sequence_with_replacements(kept: Spool) -> None:
    for position in range(4):
        kept[position] = b"%d" % position
    codes = SpooledCodes(kept, 4, {1: b"other"}, {1})
    assert list(codes) == [b"0", b"other", b"2", b"3"] and codes[1:3] == [b"other", b"2"]
    again = SpooledCodes(codes, 4, {2: b"too"}, {2})
    assert list(again) == [b"0", b"other", b"too", b"3"]
    with pytest.raises(IndexError, match="position 4 of 4"):
        codes[4]


def test_a_checkpoint_appends_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    written = CodesCheckpoint(path, "digest", resume=False)
    written.begin("some way")
    for position in range(5):
        written.add(position, bytes([position]) * 1000)
        written.save()
    inode, size = path.stat().st_ino, path.stat().st_size
    written.add(9, b"last")
    written.save()
    assert path.stat().st_ino == inode and size < path.stat().st_size < size + 1000
    resumed = CodesCheckpoint(path, "digest", resume=True)
    assert dict(resumed.codes) == {**{n: bytes([n]) * 1000 for n in range(5)}, 9: b"last"}
    resumed.begin("some way")
    resumed.add(7, b"more")
    resumed.save()
    assert path.stat().st_ino == inode and set(CodesCheckpoint(path, "digest", resume=True).codes) == {*range(5), 7, 9}
    resumed.begin("another way")
    resumed.save()
    assert not CodesCheckpoint(path, "digest", resume=True).codes


def test_a_checkpoint_that_was_cut_gives_back_what_was_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CODES_OF_PART", 1)
    path = tmp_path / "checkpoint"
    written = CodesCheckpoint(path, "digest", resume=False)
    written.begin("some way")
    ends = []
    for position in range(3):
        written.add(position, bytes([position]) * 50)
        written.save()
        ends.append(path.stat().st_size)
    data = path.read_bytes()
    for size in range(ends[0], len(data) + 1, 7):
        path.write_bytes(data[:size])
        resumed = CodesCheckpoint(path, "digest", resume=True)
        assert list(resumed.codes) == [n for n in range(3) if ends[n] <= size]
        resumed.begin("some way")
        resumed.add(5, b"new")
        resumed.save()
        assert list(CodesCheckpoint(path, "digest", resume=True).codes) == [*resumed.codes]


@pytest.mark.parametrize("data", [b"", b"no checkpoint at all", bytes(12), b"\xff" * 40])
def test_other_files_are_no_checkpoints(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(data)
    with pytest.raises(CheckpointMismatch):
        CodesCheckpoint(path, "digest", resume=True)


def test_a_checkpoint_that_vanished_is_written_anew(tmp_path: Path) -> None:
    written = CodesCheckpoint(tmp_path / "checkpoint", "digest", resume=False)
    written.begin("some way")
    written.add(0, b"first")
    written.save()
    os.unlink(written.path)
    written.add(1, b"second")
    with pytest.raises(OutputError, match="cannot write"):
        written.save()
    written.save()
    assert dict(CodesCheckpoint(written.path, "digest", resume=True).codes) == {0: b"first", 1: b"second"}


def test_a_picture_costs_less_memory_than_its_code(
    autoencoder: PackagedAutoencoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 1)
    monkeypatch.setattr(random.Random, "randbytes", lambda self, count: bytes([1]) * count)
    peaks, counts = list[int](), (3000, 9000)
    for count in counts:
        tracemalloc.start()
        try:
            assert pack_stubs(tmp_path / f"{count}.uni", count, autoencoder) > count * CODE_BYTES
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / (counts[1] - counts[0]) < 700
