"""Files that an archive holds whole, in records and in pieces."""

import hashlib
import io
import random
import tracemalloc
from pathlib import Path

import pytest

from tests.sample_archive import DECODER, ID
from unicorn_codec.editing import repair_file
from unicorn_codec.errors import ChecksumMismatch, FormatError, InvalidField, InvalidSetting
from unicorn_codec.format.growth import compact, growing
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.limits import MAX_PIECE_BYTES
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import EXACT, OTHER_FILE, record_of_code
from unicorn_codec.format.repair import repair
from unicorn_codec.format.sources import FileSource, MemorySource
from unicorn_codec.format.stored_files import (
    PIECES,
    PLAIN,
    StoredFile,
    parse_stored_file,
    piece_places,
    record_of_file,
    unpacked_pieces,
    verified,
)
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.pictures.original_files import restored_file, store_file

LARGE = bytes(range(256)) * ((MAX_PIECE_BYTES + 512) // 256)
SMALL = b"a side file"


def written() -> bytes:
    """An archive of a code, an exact picture in pieces, and a small file."""
    file = io.BytesIO()
    writer = ContainerWriter(file, ID)
    writer.add_decoder(DECODER)
    writer.add(record_of_code(0, 8, 8, 0, b"\x14code"), "a.png")
    large = store_file(io.BytesIO(LARGE), len(LARGE), writer.add_piece)
    writer.add(record_of_file(1, large, size=(40, 30), modified=-7), "b.tif")
    small = store_file(io.BytesIO(SMALL), len(SMALL), writer.add_piece)
    writer.add(record_of_file(2, small, size=None), "c.json")
    writer.commit()
    return file.getvalue()


ARCHIVE = written()


def opened(data: bytes) -> ContainerReader:
    return ContainerReader(MemorySource(data))


def content(reader: ContainerReader, index: int) -> bytes:
    stored = reader.stored_file(reader.row(index))
    return b"".join(verified(stored, unpacked_pieces(stored, reader.piece)))


def test_files_come_back_from_records_and_pieces() -> None:
    reader = opened(ARCHIVE)
    assert [reader.row(index).codec for index in (1, 2)] == [EXACT, OTHER_FILE]
    assert (content(reader, 1), content(reader, 2)) == (LARGE, SMALL)
    ways = [reader.stored_file(reader.row(index)).way for index in (1, 2)]
    assert ways == [PIECES, PLAIN]
    assert reader.details(reader.row(1)).modified == -7
    assert problems_of(reader) == []


def test_a_file_that_is_no_picture_is_not_counted_as_one() -> None:
    footer = opened(ARCHIVE).footer
    assert (footer.pictures, footer.files, footer.members) == (2, 1, 3)
    assert footer.pixels == 8 * 8 + 40 * 30


def test_totals_count_pieces() -> None:
    reader = opened(ARCHIVE)
    row = reader.row(1)
    total = next(total for total in reader.footer.totals if total.codec == EXACT)
    pieces = piece_places(reader.stored_file(row))
    assert len(pieces) == 2
    assert total.bytes == row.length + sum(place.length for place in pieces)


def test_compaction_moves_pieces_and_removal_frees_them(tmp_path: Path) -> None:
    path = tmp_path / "a.uni"
    path.write_bytes(ARCHIVE)
    with growing(path) as (reader, writer):
        writer.remove([reader.row(0)])
        writer.commit()
    compact(path)
    reader = ContainerReader(FileSource(path))
    assert (content(reader, 1), content(reader, 2), problems_of(reader)) == (LARGE, SMALL, [])
    reader.source.close()
    with growing(path) as (reader, writer):
        writer.remove([reader.row(1)])
        writer.commit()
    reader = ContainerReader(FileSource(path))
    assert [total.codec for total in reader.footer.totals] == [OTHER_FILE] and problems_of(reader) == []
    reader.source.close()
    _, after = compact(path)
    assert after < len(ARCHIVE) / 100


def test_a_repair_keeps_files_in_pieces_and_names_those_that_lack_one() -> None:
    output = io.BytesIO()
    end = ARCHIVE.rindex(b"\xf5UNF")
    assert repair(ARCHIVE[:end], output).lost == ()
    assert content(opened(output.getvalue()), 1) == LARGE
    place = piece_places(opened(ARCHIVE).stored_file(opened(ARCHIVE).row(1)))[1]
    damaged = bytearray(ARCHIVE)
    damaged[place.offset + 20 : place.offset + 30] = bytes(10)
    assert any("b.tif" in line for line in problems_of(opened(bytes(damaged))))
    output = io.BytesIO()
    assert repair(bytes(damaged), output).lost == ((1, "b.tif"),)
    assert content(opened(output.getvalue()), 2) == SMALL


def test_a_file_with_another_sha256_is_refused() -> None:
    stored = StoredFile(way=PLAIN, file_bytes=3, sha256=bytes(32), data=b"\x06abc")
    with pytest.raises(ChecksumMismatch, match="SHA-256"):
        list(verified(stored, unpacked_pieces(stored, lambda _: b"")))


@pytest.mark.parametrize(
    "change", [{"way": 9}, {"file_bytes": MAX_PIECE_BYTES + 1}, {"sha256": b"?"}, {"nanoseconds": -1}]
)
def test_a_stored_file_checks_itself(change: dict[str, object]) -> None:
    usual = {"way": PLAIN, "file_bytes": 0, "sha256": hashlib.sha256(b"").digest(), "data": b"\0"}
    with pytest.raises(InvalidSetting):
        StoredFile(**(usual | change))  # type: ignore[arg-type]


def test_the_record_of_a_picture_holds_no_file() -> None:
    with pytest.raises(InvalidField, match="0 files"):
        parse_stored_file(record_of_code(0, 8, 8, 0, b"\x14code"))


def test_every_flipped_byte_of_a_record_is_found() -> None:
    row = opened(ARCHIVE).row(2)
    for place in range(row.offset, row.offset + row.length):
        damaged = bytearray(ARCHIVE)
        damaged[place] ^= 4
        with pytest.raises(FormatError):
            content(opened(bytes(damaged)), 2)


def test_repair_holds_a_few_pieces_of_a_large_file_in_memory(tmp_path: Path) -> None:
    path, size = tmp_path / "large.uni", 9 * MAX_PIECE_BYTES
    with open(path, "w+b") as file, open(tmp_path / "film.mp4", "w+b") as film:
        film.write(random.Random(0).randbytes(MAX_PIECE_BYTES) * 9)
        film.seek(0)
        writer = ContainerWriter(file, bytes(8))
        writer.add_decoder(DECODER)
        stored = store_file(film, size, writer.add_piece)
        writer.add(record_of_file(0, stored, size=None), "film.mp4")
        writer.commit()
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 5)
    tracemalloc.start()
    try:
        report = repair_file(path, tmp_path / "saved.uni")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.lost == () and peak < 5 * MAX_PIECE_BYTES
    reader = ContainerReader(FileSource(tmp_path / "saved.uni"))
    stored = reader.stored_file(reader.row(0))
    assert sum(map(len, restored_file(stored, reader.piece, 1))) == size
