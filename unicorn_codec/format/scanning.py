"""Scan of an archive from its start, without footer or index, for intact and correctable chunks and records."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from unicorn_codec.errors import ChecksumMismatch, FormatError, InvalidField, TruncatedFile
from unicorn_codec.format.chunks import (
    CRC_BYTES,
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
from unicorn_codec.format.opening import PREAMBLE
from unicorn_codec.format.record_fields import Prefix
from unicorn_codec.format.record_scanning import FoundRecord, scan_records
from unicorn_codec.format.sources import Bytes

READ_AGAIN = (PIECE, METADATA)
"""Chunks whose payloads are not kept in memory, because together they may be nearly all of the file."""


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
        _take_pictures(data, offset, header, window, salt, found)
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


def _take_pictures(data: Bytes, offset: int, header: ChunkHeader, window: bytes, salt: int, found: Scan) -> None:
    """Record the records of a chunk. A single flipped bit is corrected if all records are intact then."""
    fields = Fields(window, header.header_bytes)
    prefix = Prefix.take(fields)
    start, stop = offset + fields.offset, offset + header.header_bytes + header.length
    stored = data[start:stop]
    payload, was_mended = checked_payload(data, offset, header, salt)
    records, problems = scan_records(stored, stored, start, prefix, salt)
    if payload is not None and was_mended:
        of_payload = payload[fields.offset - header.header_bytes :]
        corrected, others = scan_records(of_payload, stored, start, prefix, salt)
        if not others:
            records, problems = corrected, [f"{_what(header, offset)}: damaged, one bit of it is mended"]
    found.records += records
    found.problems += problems
