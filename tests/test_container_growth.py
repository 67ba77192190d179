"""Archives grow by generations: an index once given stays, and at any moment the archive is as before or as after."""

import os
import random
import signal
import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from tests.sample_archive import DECODER, archive, code_of, name_of
from unicorn_codec import atomic_files
from unicorn_codec.errors import ArchiveBusy, ArchiveUnreadable, DamagedSectionWarning, IndexOutOfRange, InvalidSetting
from unicorn_codec.format import growth, writer
from unicorn_codec.format.growth import compact, growing
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.limits import MAX_ROWS
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import REMOVED, record_of_code
from unicorn_codec.format.repair import repair
from unicorn_codec.format.sources import FileSource, MemorySource


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.uni").write_bytes(archive(5))
    return tmp_path / "a.uni"


def opened(path: Path) -> ContainerReader:
    return ContainerReader(FileSource(path))


def opened_bytes(data: bytes) -> ContainerReader:
    return ContainerReader(MemorySource(data))


def add(path: Path, count: int = 1, *, prefix: str = "new") -> list[int]:
    with growing(path) as (reader, new):
        number, first = new.add_decoder(DECODER), reader.footer.next_index
        for index in range(first, first + count):
            new.add(record_of_code(index, 30, 20, number, code_of(index)), f"{prefix}/{index}.jpg")
        new.commit(seed=9)
    return list(range(first, first + count))


def remove(path: Path, indices: Sequence[int]) -> None:
    with growing(path) as (reader, new):
        new.remove([reader.row(index) for index in indices])
        new.commit()


def pictures_of(path: Path) -> dict[int, tuple[bytes, str | None]]:
    reader = opened(path)
    return {
        int(index): (reader.record(reader.row(int(index))).code, reader.name(int(index)))
        for leaf in reader.leaves()
        for index in leaf.living
    }


def test_adding_appends_and_changes_no_index(path: Path) -> None:
    before, bytes_before = pictures_of(path), path.read_bytes()
    new = add(path, 3)
    assert new == [5, 6, 7]
    assert path.read_bytes().startswith(bytes_before)
    after = pictures_of(path)
    assert {index: after[index] for index in before} == before
    assert [after[index][1] for index in new] == ["new/5.jpg", "new/6.jpg", "new/7.jpg"]
    reader = opened(path)
    assert (reader.footer.generation, reader.footer.pictures, reader.footer.seed) == (2, 8, 9)
    assert reader.footer.previous == opened_bytes(bytes_before).footer.offset
    assert problems_of(reader) == []


def test_a_decoder_like_one_that_is_there_is_not_added_again(path: Path) -> None:
    add(path)
    assert len(opened(path).footer.decoders) == 1


def test_removing_marks_and_compacting_forgets(path: Path) -> None:
    before = pictures_of(path)
    path.chmod(0o640)
    remove(path, [0, 2])
    assert set(pictures_of(path)) == {1, 3, 4}
    with pytest.raises(IndexOutOfRange, match="picture 2 was removed"):
        opened(path).row(2)
    assert problems_of(opened(path)) == []
    assert opened(path).find(name_of(2)) == []
    old, new = compact(path)
    assert new < old and path.stat().st_size == new
    assert path.stat().st_mode & 0o777 == 0o640
    assert pictures_of(path) == {index: before[index] for index in (1, 3, 4)}
    assert name_of(2).encode() not in path.read_bytes() and code_of(2) not in path.read_bytes()
    assert opened(path).footer.next_index == 5, "an index is never given again"
    assert problems_of(opened(path)) == []
    assert add(path) == [5]


@pytest.mark.parametrize("removed", [c for n in (1, 2, 3) for c in combinations(range(5), n)], ids=str)
def test_removing_any_pictures_leaves_the_others(path: Path, removed: tuple[int, ...]) -> None:
    """Records that were contiguous are no more once one of them is gone from the index."""
    kept = {index: picture for index, picture in pictures_of(path).items() if index not in removed}
    remove(path, removed)
    assert pictures_of(path) == kept and problems_of(opened(path)) == []
    compact(path)
    assert pictures_of(path) == kept and problems_of(opened(path)) == []


def test_a_removed_picture_stays_as_long_as_others_go_on_from_it(path: Path) -> None:
    remove(path, [3])
    reader = opened(path)
    assert set(pictures_of(path)) == {0, 1, 2, 4}
    assert [row.index for row in reader.chain(reader.row(4))] == [3, 4]
    compact(path)
    reader = opened(path)
    assert [row.index for row in reader.chain(reader.row(4))] == [3, 4]
    row = reader.any_row(3)
    assert row is not None and row.codec == REMOVED and b"first" in path.read_bytes()
    remove(path, [4])
    compact(path)
    assert b"first" not in path.read_bytes() and problems_of(opened(path)) == []


def test_all_pictures_may_be_removed(path: Path) -> None:
    remove(path, range(5))
    compact(path)
    reader = opened(path)
    assert (reader.footer.pictures, reader.footer.root, problems_of(reader)) == (0, None, [])
    assert add(path) == [5]
    assert set(pictures_of(path)) == {5}


def test_a_repair_leaves_removed_pictures_removed(path: Path, tmp_path: Path) -> None:
    remove(path, [0, 3])
    add(path)
    wanted = pictures_of(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    with open(tmp_path / "saved.uni", "wb") as output:
        repair(bytes(data), output)
    assert pictures_of(tmp_path / "saved.uni") == wanted
    assert problems_of(opened(tmp_path / "saved.uni")) == []


def test_many_generations(path: Path) -> None:
    for number in range(12):
        add(path, 1, prefix=f"g{number}")
        remove(path, [number + 2] if number != 1 else [])
    reader = opened(path)
    assert reader.footer.generation >= 20 and problems_of(reader) == []
    assert len(reader.footer.attachments) <= writer.MERGED_TOMBSTONES + 1
    assert reader.footer.pictures == 5 + 12 - 11


def test_pages_of_several_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pages of four rows, a hundred pictures need three levels."""
    for module in ("pages", "index_reading", "index_writing", "new_rows", "name_lookup"):
        monkeypatch.setattr(f"unicorn_codec.format.{module}.MAX_ROWS", 4)
    path = tmp_path / "a.uni"
    path.write_bytes(archive(3))
    for count in (1, 1, 20, 1, 30):
        add(path, count)
        assert problems_of(opened(path)) == []
    reader = opened(path)
    assert reader.footer.level == 2 and len(pictures_of(path)) == 56
    for index in (0, 2, 3, 4, 25, 55):
        assert reader.find(str(reader.name(index))) == [index]
    remove(path, range(0, 56, 2))
    remove(path, range(1, 20, 2))
    assert problems_of(opened(path)) == []
    compact(path)
    assert problems_of(opened(path)) == []
    assert set(pictures_of(path)) == set(range(21, 56, 2))


def test_a_thousand_and_more_names_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.uni"
    path.write_bytes(archive(MAX_ROWS + 76))
    add(path, 3)
    add(path, 2000)
    reader = opened(path)
    assert problems_of(reader) == []
    for index in (0, 500, 1099, 1100, 1102, 3000):
        assert reader.find(str(reader.name(index))) == [index]
    assert reader.find("cats/9999.jpg") == []


def test_names_are_found_exactly_first_and_then_by_their_normal_form(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9.png", "cafe\u0301.png"
    path = tmp_path / "a.uni"
    path.write_bytes(archive(3, names=[composed, decomposed, "[brackets] *.png"]))
    reader = opened(path)
    assert (reader.find(composed), reader.find(decomposed)) == ([0], [1])
    assert reader.find("[brackets] *.png") == [2]
    path.write_bytes(archive(3, names=["a", decomposed, "b"]))
    assert opened(path).find(composed) == [1]


def test_the_second_writer_is_refused_by_name(path: Path) -> None:
    before = path.read_bytes()
    with growing(path):
        for change in (lambda: add(path), lambda: remove(path, [0]), lambda: compact(path)):
            with pytest.raises(ArchiveBusy, match=r"a\.uni: another process is writing"):
                change()
    assert path.read_bytes() == before


def test_what_fails_leaves_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InvalidSetting, match="an index is given once"), growing(path) as (_, new):
        new.add(record_of_code(2, 30, 20, 0, code_of(2)), "again.jpg")
        new.commit()
    assert path.read_bytes() == before
    with pytest.raises(ArchiveUnreadable):
        add(path.with_name("missing.uni"))


def test_an_unfinished_generation_is_overwritten(path: Path) -> None:
    before = path.read_bytes()
    path.write_bytes(before + b"half of a generation" * 1000)
    with pytest.warns(DamagedSectionWarning, match="20000 bytes follow"):
        assert opened(path).footer.pictures == 5
    add(path)
    assert path.read_bytes().startswith(before)
    assert problems_of(opened(path)) == []


class Dying:
    """A file whose process is killed at one of its writes."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count = fatal, 0

    def wrap(self, write: Callable[[writer.ContainerWriter, bytes], int]) -> Callable[..., int]:
        def written(new: writer.ContainerWriter, data: bytes) -> int:
            if self.count == self.fatal:
                new._file.write(data[: len(data) // 2])
                new._file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1
            return write(new, data)

        return written


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "change", [lambda p: add(p, 3), lambda p: remove(p, [1]), compact], ids=["add", "remove", "compact"]
)
def test_a_kill_at_any_write_leaves_the_archive_as_before_or_after(
    change: Callable[[Path], object], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(path, [0])
    data, before = path.read_bytes(), pictures_of(path)
    change(path)
    after = pictures_of(path)
    original, died = writer.ContainerWriter._write, 0
    for fatal in range(100):
        path.write_bytes(data)
        child = os.fork()
        if not child:
            monkeypatch.setattr(writer.ContainerWriter, "_write", Dying(fatal).wrap(original))
            change(path)
            os._exit(0)
        is_dead = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedSectionWarning)
            assert pictures_of(path) in (before, after)
        died += is_dead
        add(path)
        assert problems_of(opened(path)) == []
        if not is_dead:
            break
    assert died >= 3


def test_truncation_within_a_later_generation_is_noticed_and_repaired(path: Path) -> None:
    add(path, 2)
    data, random_lengths = path.read_bytes(), random.Random(0)
    for _ in range(20):
        length = random_lengths.randrange(len(archive(5)) + 1, len(data))
        with pytest.warns(DamagedSectionWarning, match="unicorn repair"):
            reader = opened_bytes(data[:length])
        assert reader.footer.pictures == 5 and problems_of(reader)


def test_growth_of_a_file_that_was_replaced_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = atomic_files.lock

    def replaced(file: object) -> None:
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        os.replace(other, path)
        original(file)  # type: ignore[arg-type]

    monkeypatch.setattr(growth, "lock", replaced)
    with pytest.raises(ArchiveBusy, match="just replaced"):
        add(path)
