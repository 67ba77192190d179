"""Scan of an archive from its start, without footer or index, for intact and correctable chunks and records."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from unicorn_codec.errors import ChecksumMismatch, FormatError, InvalidField, TruncatedFile
from unicorn_codec.format.chunks import (
    FOOTER,
    ID_BYTES,
    LETTERS,
    LONGEST_HEADER,
    METADATA,
    PICTURES,
    PIECE,
    SYNC,
    UNSALTED,
    ChunkHeader,
    digest_of,
    parse_chunk_header,
    salt_of,
)
from unicorn_codec.format.fields import Fields
from unicorn_codec.format.mending import mended
from unicorn_codec.format.pages import Place
from unicorn_codec.format.reader import PREAMBLE
from unicorn_codec.format.records import Prefix, Record, mended_record, parse_record, record_end, take_record
from unicorn_codec.format.stored_files import pieces_of_record

CRC_BYTES = 4
MAX_TRIED_BYTES = 1 << 18
"""Range of the search for the next record after an unreadable one."""


READ_AGAIN = (PIECE, METADATA)
"""Chunks whose payloads are not kept in memory, because together they may be nearly all of the file."""


class Bytes(Protocol):
    """Bytes in memory or in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> bytes: ...

    def find(self, part: bytes, start: int = ..., end: int = ...) -> int: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with a valid header.

    Args:
        header: as it should be.
        offset: of the whole chunk.
        payload: None if it is damaged, and for pictures, whose records are found one by one. Of ``READ_AGAIN`` it is
            empty.
        digest: of the payload; empty without one.
        mended: whether a bit was corrected.
    """

    header: ChunkHeader
    offset: int
    payload: bytes | None
    digest: bytes = b""
    mended: bool = False

    @property
    def letter(self) -> str:
        """The kind of chunk."""
        return self.header.letter

    def read(self, data: Bytes, salt: int) -> bytes:
        """Return the payload of a chunk of ``READ_AGAIN`` that is not damaged."""
        payload, _ = checked_payload(data, self.offset, self.header, salt)
        assert payload is not None, "it was read before"
        return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """A record that is intact, or of which a bit was corrected. It is read again when its parts are needed.

    Args:
        codec, parent: of the picture.
        pieces: places of the pieces that the record needs besides itself; None if they cannot be read.
        offset, length: of the record in the file.
        corrected: the record, if a bit of it was corrected.
    """

    index: int
    width: int
    height: int
    decoder: int
    name: str | None
    codec: int
    parent: int | None
    pieces: tuple[Place, ...] | None
    offset: int
    length: int
    corrected: Record | None = None

    @classmethod
    def of(cls, record: Record, offset: int, length: int, *, is_corrected: bool = False) -> "FoundRecord":
        """Describe a record at a place."""
        parent, pieces = None, None
        try:
            parent, pieces = record.parent, tuple(pieces_of_record(record))
        except FormatError:
            pieces = None
        return cls(
            index=record.index,
            width=record.width,
            height=record.height,
            decoder=record.decoder,
            name=record.name,
            codec=record.codec,
            parent=parent,
            pieces=pieces,
            offset=offset,
            length=length,
            corrected=record if is_corrected else None,
        )

    def read(self, data: Bytes, salt: int) -> Record:
        """Return the record with its parts."""
        if self.corrected is not None:
            return self.corrected
        part = data[self.offset : self.offset + self.length]
        return parse_record(part, self.index, self.width, self.height, self.decoder, salt)


@dataclass(slots=True)
class Scan:
    """Everything found, in the order of the file.

    Attributes:
        problems: damage, one line each.
    """

    archive_id: bytes
    chunks: list[Found] = field(default_factory=list)
    records: list[FoundRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find_id(data: Bytes) -> bytes:
    """Return the archive's id, from its head or any footer. Raises ``TruncatedFile`` without either."""
    start = len(PREAMBLE)
    for offset in _unsalted_places(data):
        try:
            payload = _unsalted_payload(data, offset)
        except FormatError:
            continue
        return payload[:ID_BYTES]
    raise TruncatedFile(f"neither a head at byte {start} nor a footer: nothing can be recovered")


def _unsalted_places(data: Bytes) -> Iterator[int]:
    yield len(PREAMBLE)
    tag, place = SYNC + FOOTER.encode(), -1
    while (place := data.find(tag, place + 1)) >= 0:
        yield place


def _unsalted_payload(data: Bytes, offset: int) -> bytes:
    """Return the payload of the head or footer at an offset, with a flipped bit corrected."""
    header = parse_chunk_header(data[offset : offset + 64], 0, 0)
    if header.letter not in UNSALTED:
        raise InvalidField(f"no head and no footer at byte {offset}")
    payload, _ = checked_payload(data, offset, header, 0)
    if payload is None or len(payload) < ID_BYTES:
        raise ChecksumMismatch(f"the chunk at byte {offset} is damaged")
    return payload


def checked_payload(data: Bytes, offset: int, header: ChunkHeader, salt: int) -> tuple[bytes | None, bool]:
    """Return the payload of a chunk, None if it is damaged, and whether a bit was corrected."""
    start = offset + header.header_bytes
    payload, stored = data[start : start + header.length], data[start + header.length : offset + header.total_bytes]
    if len(stored) < CRC_BYTES:
        return None, False
    wanted, begin = int.from_bytes(stored, "little"), 0 if header.letter in UNSALTED else salt
    if zlib.crc32(payload, begin) == wanted:
        return payload, False
    return mended(payload, wanted, begin), True


def scan(data: Bytes, progress: Callable[[int, int], None] = lambda *_: None) -> Scan:
    """Scan a whole file. Single flipped bits are corrected; after damage, the scan resumes at the next chunk or record.

    Args:
        progress: called with the number of scanned bytes, and of all.

    Raises ``TruncatedFile`` if the archive's id is not found.
    """
    found = Scan(find_id(data))
    salt, offset = salt_of(found.archive_id), len(PREAMBLE)
    while offset < len(data):
        progress(offset, len(data))
        window = data[offset : offset + 64]
        try:
            header = parse_chunk_header(window, 0, salt)
        except FormatError as error:
            again = _mended_header(window, salt)
            if again is None:
                end = _next_sync(data, offset)
                found.problems.append(f"bytes {offset} to {end - 1}: no chunk ({error})")
                offset = end
                continue
            found.problems.append(f"{_what(again[0], offset)}: one bit of its header is mended")
            header, window = again
        offset = _take_chunk(data, offset, header, window, salt, found)
    progress(len(data), len(data))
    return found


def _what(header: ChunkHeader, offset: int) -> str:
    return f"{LETTERS.get(header.letter, 'unknown chunk')} at byte {offset}"


def _mended_header(window: bytes, salt: int) -> tuple[ChunkHeader, bytes] | None:
    """Correct a flipped bit in the header at the start of a window. Return the header, and the corrected window."""
    for bit in range(8 * min(len(window), LONGEST_HEADER)):
        place = bit // 8
        turned = window[:place] + bytes([window[place] ^ 1 << bit % 8]) + window[place + 1 :]
        try:
            return parse_chunk_header(turned, 0, salt), turned
        except FormatError:
            continue
    return None


def _take_chunk(data: Bytes, offset: int, header: ChunkHeader, window: bytes, salt: int, found: Scan) -> int:
    """Record a chunk, and return the offset at which to look for the next one."""
    end = offset + header.total_bytes
    what = _what(header, offset)
    if end > len(data):
        found.problems.append(f"{what}: the file ends {end - len(data)} bytes before it does")
    if header.letter == PICTURES:
        prefix = Fields(window, header.header_bytes)
        common = Prefix.take(prefix)
        start = offset + prefix.offset
        records = data[start : offset + header.total_bytes]
        _take_records(records, start, common, salt, found)
        found.chunks.append(Found(header, offset, None))
    elif end <= len(data):
        payload, was_mended = checked_payload(data, offset, header, salt)
        if was_mended:
            found.problems.append(f"{what}: damaged" + (", one bit of it is mended" if payload is not None else ""))
        digest = b"" if payload is None else digest_of(payload)
        kept = b"" if payload is not None and header.letter in READ_AGAIN else payload
        found.chunks.append(Found(header, offset, kept, digest, was_mended))
    return end if end <= len(data) else _next_sync(data, offset)


def _next_sync(data: Bytes, offset: int) -> int:
    """Return where the next chunk may begin after a damaged one; the end of the data without one."""
    following = data.find(SYNC, offset + 1)
    return len(data) if following < 0 else following


def _take_records(payload: bytes, start: int, prefix: Prefix, salt: int, found: Scan) -> None:
    """Record the records of a chunk, the first of which begins at byte ``start`` of the file."""
    fields = Fields(payload)
    previous = prefix.first - 1
    while fields.left:
        place = fields.offset
        try:
            record = take_record(fields, prefix, previous, salt)
        except FormatError as error:
            found.problems.append(f"record at byte {start + place}: {_reason(error)}")
            mended_one = mended_record(payload, place, prefix, previous, salt)
            if mended_one is None:
                following = _next_place(payload, place, prefix, previous, salt)
            else:  # its length holds, whatever comes behind it
                record, following = mended_one, record_end(payload, place)
                found.records.append(FoundRecord.of(record, start + place, 0, is_corrected=True))
                previous = record.index
            if following is None or following >= len(payload):
                return
            fields.offset = following
            continue
        previous = record.index
        found.records.append(FoundRecord.of(record, start + place, fields.offset - place))


def _reason(error: FormatError) -> str:
    """Return an error's message without its place, which is relative to the chunk."""
    return str(error).split(": ", 1)[-1]


def _next_place(payload: bytes, place: int, prefix: Prefix, previous: int, salt: int) -> int | None:
    """Return the offset of the record after a damaged one; None without one."""
    end = record_end(payload, place)
    if end is not None and (end == len(payload) or _is_record(payload, end, prefix, previous, salt)):
        return end
    for later in range(place + 1, min(len(payload), place + MAX_TRIED_BYTES)):
        if _is_record(payload, later, prefix, previous, salt):
            return later
    return None


def _is_record(payload: bytes, place: int, prefix: Prefix, previous: int, salt: int) -> bool:
    try:
        take_record(Fields(payload, place), prefix, previous, salt)
    except FormatError:
        return False
    return True
