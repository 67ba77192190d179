"""Scan of a chunk of pictures for intact and correctable records, whatever lies between them."""

from dataclasses import dataclass
from itertools import chain

from unicorn_codec.errors import FormatError
from unicorn_codec.format.fields import Fields
from unicorn_codec.format.pages import Place
from unicorn_codec.format.record_coding import find_record, mended_record, parse_record, record_end, take_record
from unicorn_codec.format.record_fields import Prefix
from unicorn_codec.format.records import Record
from unicorn_codec.format.sources import Bytes
from unicorn_codec.format.stored_files import pieces_of_record

MAX_TRIED_BYTES = 1 << 18
"""Range of the search for the next record after an unreadable one."""

LOST_TOGETHER = 16
"""Neighbouring records that may be unreadable while the index of the next one, which counts on from them, is found."""


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


def scan_records(
    payload: bytes, stored: bytes, start: int, prefix: Prefix, salt: int
) -> tuple[list[FoundRecord], list[str]]:
    """Return the records of a chunk, the first at byte ``start`` of the file, and a line for each damage.

    Args:
        stored: the bytes that the file has, of which one bit may differ from the payload.
    """
    found, problems = list[FoundRecord](), list[str]()
    fields = Fields(payload)
    previous = prefix.first - 1
    while fields.left:
        place = fields.offset
        try:
            record = take_record(fields, prefix, previous, salt)
        except FormatError as error:
            problems.append(f"record at byte {start + place}: {_reason(error)}")
            mended_one = mended_record(payload, place, prefix, previous, salt)
            if mended_one is None:
                fields.offset, previous = _next_place(payload, place, prefix, previous, salt)
            else:  # its length holds, whatever comes behind it
                fields.offset, previous = record_end(payload, place) or len(payload), mended_one.index
                found.append(FoundRecord.of(mended_one, start + place, 0, is_corrected=True))
            continue
        previous = record.index
        part = slice(place, fields.offset)
        is_corrected = payload[part] != stored[part]
        length = fields.offset - place
        found.append(FoundRecord.of(record, start + place, length, is_corrected=is_corrected))
    return found, problems


def _reason(error: FormatError) -> str:
    """Return an error's message without its place, which is relative to the chunk."""
    return str(error).split(": ", 1)[-1]


def _next_place(payload: bytes, place: int, prefix: Prefix, previous: int, salt: int) -> tuple[int, int]:
    """Return the offset of the record after a damaged one, and the index before it; the payload's end without one."""
    end = record_end(payload, place)
    if end == len(payload):
        return end, previous
    lost = range(previous + 1, previous + 1 + LOST_TOGETHER)
    for later in chain([] if end is None else [end], range(place + 1, min(len(payload), place + MAX_TRIED_BYTES))):
        record = find_record(payload, later, prefix, lost, salt)
        if record is not None and record.index > previous:
            return later, record.index - 1
    return len(payload), previous
