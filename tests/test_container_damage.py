"""Damage: it is noticed, it stays where it is, and a repair brings back every picture whose record is whole."""

import io
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests.sample_archive import ID, MODEL, archive
from unicorn_codec.errors import (
    DamagedSectionWarning,
    FormatError,
    IndexOutOfRange,
    NothingToRepair,
    TruncatedFile,
)
from unicorn_codec.format.chunks import INDEX, chunk
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.limits import MAX_SHORT_PAYLOAD
from unicorn_codec.format.opening import PREAMBLE
from unicorn_codec.format.pages import serialize_leaf
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.record_coding import mended_record_of
from unicorn_codec.format.records import NETWORK, record_of_code
from unicorn_codec.format.repair import RepairReport, repair
from unicorn_codec.format.scanning import scan
from unicorn_codec.format.sources import MemorySource
from unicorn_codec.format.writer import ContainerWriter

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


def with_flips(data: bytes, indices: Sequence[int]) -> bytes:
    """Return an archive with a flipped bit in the code of some pictures, before the checksum."""
    reader, damaged = opened(data), bytearray(data)
    for index in indices:
        row = reader.row(index)
        damaged[row.offset + row.length - 6] ^= 8
    return bytes(damaged)


def archive_of_codes(lengths: Sequence[int]) -> bytes:
    """Return an archive of codes of some lengths, without names."""
    file = io.BytesIO()
    writer = ContainerWriter(file, ID)
    number = writer.add_decoder(Decoder(model=MODEL, latent_step=3.0, level=5))
    for index, length in enumerate(lengths):
        code = b"\5" + random.Random(index).randbytes(length - 1)
        writer.add(record_of_code(index, 64, 48, number, code))
    writer.commit(seed=7)
    return file.getvalue()


def test_neighbouring_records_with_a_flipped_bit_each_are_mended_by_their_own_checksums() -> None:
    data = archive_of_codes([MAX_SHORT_PAYLOAD + 1] * 5)
    found = scan(with_flips(data, range(5))).records
    assert [record.index for record in found] == list(range(5))
    pictures = pictures_of(data)
    assert all(record.corrected is not None for record in found)
    assert [record.corrected.code for record in found if record.corrected] == [pictures[i][2] for i in range(5)]


def test_short_records_with_a_flipped_bit_each_are_lost_and_never_guessed() -> None:
    """Their checksums are mistaken too easily, and that of the chunk finds a single bit alone."""
    data = archive_of_codes([100, MAX_SHORT_PAYLOAD, MAX_SHORT_PAYLOAD, 100, 100])
    found, report = repaired(with_flips(data, [1, 3]))
    assert {index for index, _ in report.lost} == {1, 3}
    assert pictures_of(found) == {i: picture for i, picture in pictures_of(data).items() if i not in (1, 3)}


def test_records_keep_their_indices_behind_several_lost_ones_without_any_index() -> None:
    data = archive_of_codes([200 + 7 * index for index in range(30)])
    rows = [opened(data).row(index) for index in range(30)]
    start, stop = rows[4].offset - 3, rows[11].offset + 2  # the heads of eight records
    damaged = data[:start] + random.Random(1).randbytes(stop - start) + data[stop : rows[29].offset + rows[29].length]
    found, _ = repaired(damaged)
    lost = range(3, 12)
    assert pictures_of(found) == {i: picture for i, picture in pictures_of(data).items() if i not in lost}


def test_a_chunk_of_pictures_of_another_checksum_is_a_problem_of_the_archive() -> None:
    reader = opened(WHOLE)
    last = max(span.stop for span in SPANS.values())
    changed = WHOLE[:last] + bytes([WHOLE[last] ^ 1]) + WHOLE[last + 1 :]
    assert any("pictures at byte" in problem for problem in problems_of(opened(changed)))
    assert pictures_of(changed) == pictures_of(WHOLE) and reader.end == len(WHOLE)


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
