"""Bytes of records, readable without the index and verified by their own checksums.

Records are contiguous in chunks of pictures, after the fields that most of them share.
"""

import struct
import zlib
from binascii import crc_hqx
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from unicorn_codec.errors import ChecksumMismatch, FormatError, InvalidField, InvalidSetting, TruncatedFile
from unicorn_codec.format.chunks import PICTURES, chunk_header, payload_checksum
from unicorn_codec.format.fields import Fields, PayloadEnds, check, refusing, varint
from unicorn_codec.format.limits import (
    MAX_CHUNK_BYTES,
    MAX_PICTURES,
    MAX_RECORD_HEADER_BYTES,
    MAX_SHORT_PAYLOAD,
)
from unicorn_codec.format.mending import mended
from unicorn_codec.format.picture_tiles import check_codes
from unicorn_codec.format.record_fields import Prefix, details_of, serialize_extras, size_and_decoder, with_extras
from unicorn_codec.format.records import CODE, Details, Part, Record

_SUMMED = struct.Struct("<QIII")
_CRC16, _CRC = struct.Struct("<H"), struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class _Head:
    """Numbers that a record begins with.

    Args:
        payload_bytes, extras_bytes: of what follows.
        distance: of its index from the chunk's lowest one; None for the index after that of the record before.
    """

    payload_bytes: int
    distance: int | None
    extras_bytes: int

    def serialize(self) -> bytes:
        """Write the numbers."""
        head = self.payload_bytes << 2 | (self.distance is not None) << 1 | bool(self.extras_bytes)
        later = (number for number in (self.distance, self.extras_bytes or None) if number is not None)
        return varint(head) + b"".join(map(varint, later))

    @classmethod
    def take(cls, fields: Fields) -> "_Head":
        """Read the numbers."""
        head = fields.varint(4 * MAX_CHUNK_BYTES + 3, "a record's length")
        distance = fields.varint(MAX_PICTURES - 1, "a record's index") if head & 2 else None
        extras_bytes = fields.varint(MAX_RECORD_HEADER_BYTES, "a record's header") if head & 1 else 0
        return cls(head >> 2, distance, extras_bytes)

    def index(self, previous: int, first: int) -> int:
        """Return the record's index, after that of the record before it in a chunk with a lowest index."""
        return previous + 1 if self.distance is None else first + self.distance

    @property
    def checksum_bytes(self) -> int:
        """Bytes of the record's checksum."""
        return _CRC16.size if self.payload_bytes <= MAX_SHORT_PAYLOAD else _CRC.size


def serialize_record(record: Record, prefix: Prefix, previous: int, salt: int) -> bytes:
    """Write a record of a chunk with this prefix, after the record of the picture ``previous``."""
    check(record.index > previous, "records of a chunk ascend by index")
    extras = serialize_extras(record, prefix)
    check(len(extras) <= MAX_RECORD_HEADER_BYTES, f"a record's header of {len(extras)} bytes")
    payload = b"".join(part.data for part in record.parts)
    follows = record.index == previous + 1 and len(payload) <= MAX_SHORT_PAYLOAD
    distance = None if follows else record.index - prefix.first
    head = _Head(len(payload), distance, len(extras))
    summed = head.serialize() + extras + payload
    identity = _SUMMED.pack(record.index, record.width, record.height, record.decoder)
    return summed + _checksum(summed, head, identity, salt)


def _checksum(data: bytes, head: _Head, identity: bytes, salt: int) -> bytes:
    """Write the checksum of a record's bytes: two bytes after a short payload, of which they are a notable part."""
    if head.checksum_bytes == _CRC16.size:
        return _CRC16.pack(crc_hqx(data, crc_hqx(identity, salt & 0xFFFF)))
    return _CRC.pack(zlib.crc32(data, zlib.crc32(identity, salt)))


def take_record(fields: Fields, prefix: Prefix, previous: int, salt: int) -> Record:
    """Read the next record from ``fields``, after that of ``previous`` in a chunk with this prefix.

    Raises:
        TruncatedFile: the data ends within the record.
        InvalidField: it is none.
        ChecksumMismatch: it is damaged.
    """
    return _take(fields, prefix, salt, previous, None)


def parse_record(data: bytes, index: int, width: int, height: int, decoder: int, salt: int) -> Record:
    """Read the record that ``data`` consists of, with the index, size and decoder given by an index page.

    Raises:
        InvalidField: it is none, or of another length.
        ChecksumMismatch: it is damaged, or of another picture.
    """
    fields = Fields(data)
    expected = Record(index=index, width=width, height=height, decoder=decoder, parts=(Part(CODE, b"?"),))
    with refusing(f"picture {index}"):
        try:
            record = _take(fields, Prefix(0, decoder, width, height), salt, -1, expected)
        except TruncatedFile as error:
            raise InvalidField(str(error)) from error
        except ChecksumMismatch as error:
            raise ChecksumMismatch(f"picture {index}: its record is damaged") from error
        fields.finish()
    return record


def _take(fields: Fields, prefix: Prefix, salt: int, previous: int, expected: Record | None) -> Record:
    start = fields.offset
    try:
        head = _Head.take(fields)
        extras, payload = fields.take(head.extras_bytes), fields.take(head.payload_bytes)
        summed = fields.data[start : fields.offset]
        stored = fields.take(head.checksum_bytes)
    except PayloadEnds as error:
        raise TruncatedFile(f"the data ends within the record at byte {start}") from error
    # The checksum is checked first, because other errors of a damaged header would mislead.
    known = expected
    if known is None:
        width, height, decoder = size_and_decoder(extras, prefix)
        with refusing(f"record at byte {start}"):
            index = head.index(previous, prefix.first)
            check(index > previous, f"index {index} follows index {previous}; records of a chunk ascend by index")
            known = Record(index=index, width=width, height=height, decoder=decoder, parts=(Part(CODE, b"?"),))
    if _checksum(summed, head, _SUMMED.pack(known.index, known.width, known.height, known.decoder), salt) != stored:
        raise ChecksumMismatch(f"record at byte {start}: its checksum does not hold")
    with refusing(f"record of picture {known.index}"):
        record = with_extras(replace(known, parts=(Part(CODE, payload),)), extras, payload)
        check_codes(record.codes, record.width, record.height)
        return record


def record_end(data: bytes, place: int) -> int | None:
    """Return the end of a record by its own length fields, damaged or not; None if beyond the data."""
    fields = Fields(data, place)
    try:
        head = _Head.take(fields)
        fields.take(head.extras_bytes + head.payload_bytes + head.checksum_bytes)
    except InvalidField:
        return None
    return fields.offset


def find_record(data: bytes, place: int, prefix: Prefix, previous: Iterable[int], salt: int) -> Record | None:
    """Return the record at a place, with an index that follows one of ``previous``; None if there is none.

    A short checksum may match by chance. The record after it then has to match too, or the data has to end. A long
    record states its index, as this software writes it; otherwise only the first one of ``previous`` is tried.
    """
    fields = Fields(data, place)
    try:
        head = _Head.take(fields)
        extras, payload_end = fields.take(head.extras_bytes), fields.offset + head.payload_bytes
        stored = data[payload_end : payload_end + head.checksum_bytes]
        width, height, decoder = size_and_decoder(extras, prefix)
    except InvalidField:
        return None
    is_short = head.checksum_bytes == _CRC16.size
    for index in dict.fromkeys(
        head.index(before, prefix.first) for before in islice(previous, None if is_short else 1)
    ):
        if _checksum(data[place:payload_end], head, _SUMMED.pack(index, width, height, decoder), salt) != stored:
            continue
        after = Fields(data, place)
        try:
            record = take_record(after, prefix, index - 1, salt)
            if is_short and after.left:
                take_record(after, prefix, index, salt)
        except FormatError:
            return None
        return record
    return None


def mended_record(data: bytes, place: int, prefix: Prefix, previous: int, salt: int) -> Record | None:
    """Correct a single flipped bit in the record at a place; None if that does not repair it."""
    end = record_end(data, place)
    if end is None:
        return None
    fields = Fields(data, place)
    head = _Head.take(fields)
    try:
        width, height, decoder = size_and_decoder(fields.take(head.extras_bytes), prefix)
        return mended_record_of(data[place:end], head.index(previous, prefix.first), width, height, decoder, salt)
    except (InvalidField, InvalidSetting):
        return None


def mended_record_of(data: bytes, index: int, width: int, height: int, decoder: int, salt: int) -> Record | None:
    """Correct a single flipped bit in the record of an index page's row; None if that does not repair it.

    A short checksum matches other bytes too easily for that: such a record is corrected by the checksum of its chunk.
    """
    if len(data) <= MAX_SHORT_PAYLOAD + _CRC.size:
        return None
    start = zlib.crc32(_SUMMED.pack(index, width, height, decoder), salt)
    found = mended(data[: -_CRC.size], _CRC.unpack(data[-_CRC.size :])[0], start)
    if found is None:
        return None
    found += _CRC.pack(zlib.crc32(found, start))
    try:
        return parse_record(found, index, width, height, decoder, salt)
    except FormatError:
        return None


def header_bytes(data: bytes) -> int:
    """Return how many bytes a record has before its payload, by its first ones. Raises ``InvalidField``."""
    fields = Fields(data)
    return _Head.take(fields).extras_bytes + fields.offset


def parse_details(data: bytes) -> Details:
    """Read a record's details from what lies before its payload, which no checksum covers by itself.

    Raises ``InvalidField``.
    """
    fields = Fields(data)
    return details_of(fields.take(_Head.take(fields).extras_bytes))


def pictures_chunk(records: Sequence[Record], salt: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Write a chunk of records in order of index; return it, and each record's offset in the chunk and length."""
    first = records[0].index
    decoder = Counter(record.decoder for record in records).most_common(1)[0][0]
    size = Counter((record.width, record.height) for record in records).most_common(1)[0][0]
    prefix = Prefix(first, decoder, *size)
    previous = [first - 1, *(record.index for record in records[:-1])]
    parts = [serialize_record(record, prefix, before, salt) for record, before in zip(records, previous, strict=True)]
    start = prefix.serialize()
    payload = b"".join([start, *parts])
    header = chunk_header(PICTURES, len(payload), salt, start)
    places, offset = [], len(header) + len(start)
    for part in parts:
        places.append((offset, len(part)))
        offset += len(part)
    return header + payload + payload_checksum(PICTURES, payload, salt), places
