"""Fields of records: those that most records of a chunk share, and the extras of a single one.

The payload of a chunk of pictures begins with the shared ones: the lowest index, the decoder, width and height.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from unicorn_codec.format.fields import Fields, check, decode_text, varint
from unicorn_codec.format.limits import MAX_DECODERS, MAX_PICTURES, MAX_RECORD_HEADER_BYTES, MAX_SIDE, MAX_TIME
from unicorn_codec.format.records import ALPHA, CODE, BlobPlace, Details, Part, Record

_SIZE, _DECODER, _NAME, _METADATA, _PARTS, _MODIFIED = range(1, 7)
_MUST_KNOW = 128
"""First tag of header fields that a reader must support; it skips unknown fields with lower tags."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Shared fields of a chunk's records, which its payload begins with."""

    first: int
    decoder: int
    width: int
    height: int

    def serialize(self) -> bytes:
        """Write the four numbers."""
        return b"".join(map(varint, (self.first, self.decoder, self.width, self.height)))

    @classmethod
    def take(cls, fields: Fields) -> "Prefix":
        """Read the four numbers."""
        return cls(
            fields.varint(MAX_PICTURES - 1, "the lowest index of a chunk"),
            fields.varint(MAX_DECODERS - 1, "a decoder's number"),
            fields.varint(MAX_SIDE, "a width"),
            fields.varint(MAX_SIDE, "a height"),
        )


def serialize_extras(record: Record, prefix: Prefix) -> bytes:
    """Write the fields that a record of a chunk has besides its payload."""
    return b"".join(_extras(record, prefix))


def _extras(record: Record, prefix: Prefix) -> Iterator[bytes]:
    if (record.width, record.height) != (prefix.width, prefix.height):
        yield _field(_SIZE, varint(record.width) + varint(record.height))
    if record.decoder != prefix.decoder:
        yield _field(_DECODER, varint(record.decoder))
    if record.name is not None:
        yield _field(_NAME, record.name.encode())
    if record.metadata:
        places = ((blob.kind, blob.offset, blob.length, blob.ordinal) for blob in record.metadata)
        yield _field(_METADATA, b"".join(varint(number) for place in places for number in place))
    if [part.kind for part in record.parts] != [CODE]:
        yield _field(_PARTS, b"".join(varint(part.kind) + varint(len(part.data)) for part in record.parts))
    if record.modified is not None:
        seconds = record.modified
        yield _field(_MODIFIED, varint(seconds << 1 if seconds >= 0 else ~seconds << 1 | 1))


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def size_and_decoder(extras: bytes, prefix: Prefix) -> tuple[int, int, int]:
    """Return width, height and decoder of a record."""
    width, height, decoder = prefix.width, prefix.height, prefix.decoder
    for tag, content in _tagged(extras):
        if tag == _SIZE:
            width, height = content.varint(MAX_SIDE, "a width"), content.varint(MAX_SIDE, "a height")
        elif tag == _DECODER:
            decoder = content.varint(MAX_DECODERS - 1, "a decoder's number")
    return width, height, decoder


def with_extras(record: Record, extras: bytes, payload: bytes) -> Record:
    """Return a record with what its extras say. Raises ``InvalidField`` or ``InvalidSetting``."""
    previous = 0
    for tag, content in _tagged(extras):
        check(tag > previous, "the fields of a record's header ascend")
        previous = tag
        if tag == _SIZE:
            size = content.varint(MAX_SIDE), content.varint(MAX_SIDE)
            check(size == (record.width, record.height), "a record of another size than its index page says")
        elif tag == _DECODER:
            check(content.varint() == record.decoder, "a record of another decoder than its index page says")
        elif tag == _NAME:
            record = replace(record, name=decode_text(content.rest()))
        elif tag == _METADATA:
            record = replace(record, metadata=tuple(_blob_places(content)))
        elif tag == _PARTS:
            record = replace(record, parts=tuple(_parts(content, payload)))
        elif tag == _MODIFIED:
            record = replace(record, modified=_time(content))
        else:
            check(tag < _MUST_KNOW, f"field {tag} of a record's header, which this software does not know")
            content.rest()
        content.finish()
    return record


def _tagged(extras: bytes) -> Iterator[tuple[int, Fields]]:
    fields = Fields(extras)
    while fields.left:
        tag = fields.take(1)[0]
        yield tag, Fields(fields.take(fields.varint(MAX_RECORD_HEADER_BYTES, "a field's length")))


def _blob_places(content: Fields) -> Iterator[BlobPlace]:
    while content.left:
        kind, offset, length, ordinal = (content.varint() for _ in range(4))
        yield BlobPlace(kind, offset, length, ordinal)


def _time(content: Fields) -> int:
    number = content.varint(2 * MAX_TIME - 1, "a time of modification")
    return ~(number >> 1) if number & 1 else number >> 1


def details_of(extras: bytes) -> Details:
    """Read a record's details from its extras. Raises ``InvalidField``."""
    found = Details()
    for tag, content in _tagged(extras):
        if tag == _METADATA:
            found = replace(found, metadata=tuple(_blob_places(content)))
        elif tag == _PARTS:
            found = replace(found, alpha_bytes=sum(size for kind, size in _part_sizes(content) if kind == ALPHA))
        elif tag == _MODIFIED:
            found = replace(found, modified=_time(content))
    return found


def _parts(content: Fields, payload: bytes) -> Iterator[Part]:
    left = Fields(payload)
    for kind, length in _part_sizes(content):
        yield Part(kind, left.take(length))
    left.finish()


def _part_sizes(content: Fields) -> Iterator[tuple[int, int]]:
    """Yield kind and bytes of each part."""
    while content.left:
        yield content.varint(), content.varint()
