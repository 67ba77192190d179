"""Damage: it is noticed, it stays where it is, and a repair brings back every picture whose record is whole."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.sample_archive import archive
from unicorn_codec.errors import (
    DamagedSectionWarning,
    FormatError,
    IndexOutOfRange,
    NothingToRepair,
    TruncatedFile,
)
from unicorn_codec.format.chunks import INDEX, chunk
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.pages import serialize_leaf
from unicorn_codec.format.reader import PREAMBLE, ContainerReader
from unicorn_codec.format.record_coding import mended_record_of
from unicorn_codec.format.records import NETWORK
from unicorn_codec.format.repair import RepairReport, repair
from unicorn_codec.format.scanning import scan
from unicorn_codec.format.sources import MemorySource

WHOLE = archive(5, change=b"a change of the decoder")
LAST_PARENT = 3


def opened(data: bytes) -> ContainerReader:
    return ContainerReader(MemorySource(data))


def pictures_of(data: bytes) -> dict[int, tuple[int, int, bytes, str | None]]:
    """What comes back of every picture that can be read with all that it goes on from."""
    reader, found = opened(data), {}
    for index in range(reader.footer.next_index):
        try:
            record = reader.record(reader.row(index))
            for row in reader.chain(reader.row(index)):
                reader.record(row)
            found[index] = (record.width, record.height, record.code, name_in(reader, index))
        except (FormatError, IndexOutOfRange):
            continue
    return found


def name_in(reader: ContainerReader, index: int) -> str | None:
    try:
        return reader.name(index)
    except FormatError:
        return None


def repaired(data: bytes) -> tuple[bytes, RepairReport]:
    output = io.BytesIO()
    report = repair(data, output)
    return output.getvalue(), report


def flips(step: int = 1) -> Iterator[tuple[int, bytes]]:
    """Every ``step``-th bit turned over, and in which byte it lies."""
    for bit in range(0, 8 * len(WHOLE), step):
        changed = bytearray(WHOLE)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(changed)


PICTURES = pictures_of(WHOLE)
SPANS = {row.index: range(row.offset, row.offset + row.length) for row in map(opened(WHOLE).row, PICTURES)}


def hit_by(byte: int) -> set[int]:
    """Pictures whose record a byte belongs to, and those that go on from them."""
    hit = {index for index, span in SPANS.items() if byte in span}
    return hit | ({LAST_PARENT + 1} if LAST_PARENT in hit else set())


def test_every_flipped_bit_is_noticed() -> None:
    assert problems_of(opened(WHOLE)) == []
    for byte, data in flips():
        try:
            assert problems_of(opened(data)), f"byte {byte}"
        except FormatError:
            continue


def test_a_flipped_bit_loses_no_picture_but_those_it_hits() -> None:
    for byte, data in flips():
        try:
            found = pictures_of(data)
        except FormatError:
            assert not hit_by(byte), "a record never keeps an archive from being opened"
            continue
        if found:  # an index page or the decoder may be what was hit
            lost = {index for index in PICTURES if found.get(index, (0, 0, b""))[:3] != PICTURES[index][:3]}
            assert lost <= hit_by(byte), f"byte {byte}"


def test_a_scan_mends_neighbouring_records_with_a_flipped_bit_each() -> None:
    reader, damaged = opened(WHOLE), bytearray(WHOLE)
    for index in range(5):
        row = reader.row(index)
        damaged[row.offset + row.length - 6] ^= 8  # in the code, before the checksum
    assert sorted(found.index for found in scan(bytes(damaged)).records) == list(range(5))


def test_a_repair_brings_everything_back_after_any_flipped_bit() -> None:
    for byte, data in flips(step=3):
        if byte < len(PREAMBLE):
            continue
        found, report = repaired(data)
        assert pictures_of(found) == PICTURES, f"byte {byte}"
        assert (report.pictures, report.lost, report.nameless) == (5, (), 0)
        assert problems_of(opened(found)) == []


@pytest.mark.parametrize("length", range(len(PREAMBLE), len(WHOLE), 2))
def test_a_repair_brings_back_all_complete_records_of_a_cut_file(length: int) -> None:
    complete = {index for index, span in SPANS.items() if span.stop <= length}
    try:
        found = pictures_of(repaired(WHOLE[:length])[0])
    except (FormatError, NothingToRepair):
        found = {}
    assert {index: picture[:3] for index, picture in found.items()} == {i: PICTURES[i][:3] for i in complete}


def test_a_cut_file_is_refused_and_says_what_helps() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(FormatError) as caught:
            opened(WHOLE[:length])
        if length >= len(PREAMBLE):
            assert isinstance(caught.value, TruncatedFile) and "unicorn repair" in str(caught.value)


def test_burst_damage_loses_the_records_that_it_hits_alone() -> None:
    start = SPANS[1].start + 3
    data = WHOLE[:start] + bytes(40) + WHOLE[start + 40 :]
    lost = {index for index, span in SPANS.items() if span.start < start + 40 and start < span.stop}
    assert set(pictures_of(data)) == set(PICTURES) - lost
    found, report = repaired(data)
    assert set(pictures_of(found)) == set(PICTURES) - lost
    assert {index for index, _ in report.lost} == lost
    assert all(name is not None for _, name in report.lost)


def test_records_are_found_behind_damage_without_any_index() -> None:
    """The index is gone, and a record's head is too, so that its length is not known."""
    start = SPANS[1].start
    tail = SPANS[4].stop
    data = WHOLE[:start] + b"\xff" * 9 + WHOLE[start + 9 : tail]
    found, _ = repaired(data)
    assert {0, 2, 3, 4} == set(pictures_of(found))


def test_an_intact_record_outweighs_a_page_that_contradicts_it() -> None:
    reader = opened(WHOLE)
    leaf = reader.leaf(0)
    assert leaf is not None
    codecs, lengths = leaf.codecs.copy(), leaf.lengths.copy()
    codecs[0], lengths[0] = NETWORK, 0
    page = chunk(INDEX, serialize_leaf(replace(leaf, codecs=codecs, lengths=lengths)), reader.salt)
    data, report = repaired(WHOLE + page)
    assert pictures_of(data) == PICTURES and not report.lost


def test_what_follows_the_last_footer_is_a_warning_and_a_problem() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reader = opened(WHOLE + b"a writer that was killed")
    assert [warning.category for warning in caught] == [DamagedSectionWarning]
    assert "24 bytes follow" in problems_of(reader)[0]
    assert reader.end == len(WHOLE)


def test_an_archive_within_an_archive_is_never_taken_for_it() -> None:
    """A file that is stored in an archive may be an archive itself."""
    inner = archive(3, archive_id=b"another.")
    outer = WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]) + inner
    with pytest.raises(FormatError):
        opened(outer)
    assert set(pictures_of(repaired(outer)[0])) == set(PICTURES)


@pytest.mark.parametrize("length", range(6))
def test_a_record_of_hardly_any_bytes_is_not_mended(length: int) -> None:
    assert mended_record_of(bytes(length), 0, 8, 8, 0, 1) is None


def test_nothing_is_made_of_nothing() -> None:
    with pytest.raises(FormatError):
        repaired(PREAMBLE + bytes(100))
    with pytest.raises(NothingToRepair):
        repaired(WHOLE[: SPANS[0].start])
