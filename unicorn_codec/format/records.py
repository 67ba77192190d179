"""Records: one picture each, readable without the index and verified by its own checksum.

Records are contiguous in chunks of pictures. A chunk begins with fields that most of its records share: the lowest
index, the decoder, width and height.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from unicorn_codec.errors import ChecksumMismatch, FormatError, InvalidField, InvalidSetting, TruncatedFile
from unicorn_codec.format.chunks import PICTURES, chunk_header
from unicorn_codec.format.code_kinds import is_avif, is_half_size, is_in_sequence, is_overfitted, parent_of_code
from unicorn_codec.format.fields import Fields, PayloadEnds, check, decode_text, refusing, varint
from unicorn_codec.format.limits import (
    MAX_BLOBS,
    MAX_CHUNK_BYTES,
    MAX_DECODERS,
    MAX_PARTS,
    MAX_PICTURES,
    MAX_RECORD_HEADER_BYTES,
    MAX_SIDE,
    MAX_TIME,
)
from unicorn_codec.format.mending import mended
from unicorn_codec.format.names import check_name
from unicorn_codec.format.picture_tiles import check_codes

CODE, ALPHA, ORIGINAL, FILE = range(4)
"""Kinds of parts: a code of the picture or of a tile of it, a code of its alpha plane, the original file's bytes
(possibly transcoded), or a file that is not a picture."""

LATENTS, HALF_SIZE, AVIF, SEQUENCE, NETWORK, EXACT, OTHER_FILE, REMOVED, FUNCTION = range(1, 10)
CODECS = ("none", "latents", "half-size", "avif", "avif-sequence", "network", "exact", "file", "removed", "overfitted")
"""Codecs of pictures, by their number in an index page. 0 means no picture. Removed pictures are kept as long as others
of their sequence depend on them."""

_SIZE, _DECODER, _NAME, _METADATA, _PARTS, _MODIFIED = range(1, 7)
_MUST_KNOW = 128
"""First tag of header fields that a reader must support; it skips unknown fields with lower tags."""

_SUMMED = struct.Struct("<QIII")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """Place of a blob of metadata: a chunk of blobs, and the blob's number in it.

    Args:
        kind: of the blob, see ``blobs``.
        offset, length: of the whole chunk in the file.
        ordinal: of the blob in the chunk.
    """

    kind: int
    offset: int
    length: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Details:
    """What a record says of its original file: where its metadata lies, when it was modified, and its transparency.

    Args:
        alpha_bytes: bytes of the picture's opacity; 0 for an opaque one.
    """

    metadata: tuple[BlobPlace, ...] = ()
    modified: int | None = None
    alpha_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a record: its bytes and their kind."""

    kind: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A picture, or another file.

    Args:
        index: number in the archive.
        width, height: in pixels as unpacked; 1 by 1 for a file that is not a picture.
        decoder: number of the decoder that its code needs.
        parts: stored content, usually one code.
        name: the picture's name, if the record repeats it.
        metadata: places of its metadata.
        modified: when the original file was modified, in seconds since 1970 UTC; None if that is not stored.
    """

    index: int
    width: int
    height: int
    decoder: int
    parts: tuple[Part, ...]
    name: str | None = None
    metadata: tuple[BlobPlace, ...] = ()
    modified: int | None = None

    def __post_init__(self) -> None:
        check(0 <= self.index < MAX_PICTURES, f"an index is 0 to {MAX_PICTURES - 1}, not {self.index}")
        check_size(self.width, self.height)
        check(0 <= self.decoder < MAX_DECODERS, f"a decoder's number is 0 to {MAX_DECODERS - 1}, not {self.decoder}")
        check(1 <= len(self.parts) <= MAX_PARTS, f"a record has 1 to {MAX_PARTS} parts, not {len(self.parts)}")
        check(all(part.data for part in self.parts), "a part of a record is empty")
        check(len(self.metadata) <= MAX_BLOBS, f"a record has at most {MAX_BLOBS} blobs, not {len(self.metadata)}")
        if self.name is not None:
            check_name(self.name)
        if self.modified is not None:
            check(abs(self.modified) < MAX_TIME, f"a time of {self.modified} seconds")

    @property
    def codes(self) -> tuple[bytes, ...]:
        """The codes of the picture's tiles, one of most pictures, none of a stored file."""
        return tuple(part.data for part in self.parts if part.kind == CODE)

    @property
    def code(self) -> bytes:
        """The picture's only code. Raises ``InvalidField`` if it has none, or is coded in tiles."""
        if len(self.codes) != 1:
            raise InvalidField(f"picture {self.index} has {len(self.codes)} codes where one is expected")
        return self.codes[0]

    @property
    def alpha(self) -> bytes | None:
        """The bytes of the picture's opacity; None if it is opaque. Raises ``InvalidField`` if there are several."""
        planes = [part.data for part in self.parts if part.kind == ALPHA]
        if len(planes) > 1:
            raise InvalidField(f"picture {self.index} has {len(planes)} planes of opacity")
        return planes[0] if planes else None

    @property
    def codec(self) -> int:
        """The picture's codec: a number of ``CODECS``, of its first tile if it has several."""
        kinds = [part.kind for part in self.parts]
        if CODE in kinds:
            return codec_of_code(self.parts[kinds.index(CODE)].data)
        return EXACT if ORIGINAL in kinds else OTHER_FILE

    @property
    def details(self) -> Details:
        """What it says of its original file."""
        alpha_bytes = sum(len(part.data) for part in self.parts if part.kind == ALPHA)
        return Details(self.metadata, self.modified, alpha_bytes)

    @property
    def parent(self) -> int | None:
        """Index of the picture that this one depends on; None without one."""
        code = next((part.data for part in self.parts if part.kind == CODE), b"")
        return parent_of_code(code)


def record_of_code(
    index: int, width: int, height: int, decoder: int, code: bytes, alpha: bytes | None = None
) -> Record:
    """Return the record of a picture that consists of one code, and of its opacity if it has any."""
    return record_of_codes(index, width, height, decoder, [code], alpha)


def record_of_codes(
    index: int, width: int, height: int, decoder: int, codes: Sequence[bytes], alpha: bytes | None = None
) -> Record:
    """Return the record of a picture of one code, or one for each of its tiles, and of its opacity if it has any."""
    planes = () if alpha is None else (Part(ALPHA, alpha),)
    parts = (*(Part(CODE, code) for code in codes), *planes)
    return Record(index=index, width=width, height=height, decoder=decoder, parts=parts)


def check_size(width: int, height: int) -> None:
    """Raise ``InvalidSetting`` unless a picture's size is allowed."""
    check(1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE, f"sides are 1 to {MAX_SIDE} pixels, not {width}x{height}")


def codec_of_code(code: bytes) -> int:
    """Return the codec of a code: a number of ``CODECS``."""
    if is_overfitted(code):
        return FUNCTION
    if is_avif(code):
        return SEQUENCE if is_in_sequence(code) else AVIF
    return HALF_SIZE if is_half_size(code) else LATENTS


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


_NEAR = 128
"""Largest step between the indices of successive records that is stored by its lowest bits alone."""


def _index_number(index: int, previous: int, first: int) -> int:
    """Encode a record's index: the lowest seven bits of its distance from the chunk's first index, or all of it."""
    distance = index - first
    return distance % _NEAR if index - previous <= _NEAR else _NEAR + distance


def _index_of_number(number: int, previous: int, first: int) -> int:
    """Decode a record's index: the next index with these lowest bits, or the complete one."""
    if number >= _NEAR:
        return first + number - _NEAR
    return previous + 1 + (number - (previous + 1 - first)) % _NEAR


def serialize_record(record: Record, prefix: Prefix, previous: int, salt: int) -> bytes:
    """Write a record of a chunk with this prefix, after the record of the picture ``previous``."""
    extras = b"".join(_extras(record, prefix))
    payload = b"".join(part.data for part in record.parts)
    check(record.index > previous, "records of a chunk ascend by index")
    head = varint(len(payload) << 1 | bool(extras)) + varint(_index_number(record.index, previous, prefix.first))
    if extras:
        check(len(extras) <= MAX_RECORD_HEADER_BYTES, f"a record's header of {len(extras)} bytes")
        head += varint(len(extras)) + extras
    return head + payload + _CRC.pack(_sum(head + payload, record, salt))


def _sum(data: bytes, record: Record, salt: int) -> int:
    start = zlib.crc32(_SUMMED.pack(record.index, record.width, record.height, record.decoder), salt)
    return zlib.crc32(data, start)


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
        head = fields.varint(2 * MAX_CHUNK_BYTES, "a record's length")
        number = fields.varint(MAX_PICTURES + _NEAR, "a record's index")
        extras = fields.take(fields.varint(MAX_RECORD_HEADER_BYTES, "a record's header")) if head & 1 else b""
        payload = fields.take(head >> 1)
        summed = fields.data[start : fields.offset]
        (stored,) = fields.numbers("I")
    except PayloadEnds as error:
        raise TruncatedFile(f"the data ends within the record at byte {start}") from error
    # The checksum is checked first, because other errors of a damaged header would mislead.
    known = expected
    if known is None:
        width, height, decoder = _identity(extras, prefix)
        with refusing(f"record at byte {start}"):
            index = _index_of_number(number, previous, prefix.first)
            known = Record(index=index, width=width, height=height, decoder=decoder, parts=(Part(CODE, b"?"),))
    if _sum(summed, known, salt) != stored:
        raise ChecksumMismatch(f"record at byte {start}: its checksum does not hold")
    with refusing(f"record of picture {known.index}"):
        record = _with_extras(replace(known, parts=(Part(CODE, payload),)), extras, payload)
        check_codes(record.codes, record.width, record.height)
        return record


def record_end(data: bytes, place: int) -> int | None:
    """Return the end of a record by its own length fields, damaged or not; None if beyond the data."""
    fields = Fields(data, place)
    try:
        head = fields.varint()
        fields.varint()
        if head & 1:
            fields.take(fields.varint())
        fields.take((head >> 1) + _CRC.size)
    except InvalidField:
        return None
    return fields.offset


def mended_record(data: bytes, place: int, prefix: Prefix, previous: int, salt: int) -> Record | None:
    """Correct a single flipped bit in the record at a place; None if that does not repair it."""
    end = record_end(data, place)
    if end is None:
        return None
    fields = Fields(data, place)
    head, number = fields.varint(), fields.varint()
    try:
        extras = fields.take(fields.varint()) if head & 1 else b""
        width, height, decoder = _identity(extras, prefix)
        index = _index_of_number(number, previous, prefix.first)
        return mended_record_of(data[place:end], index, width, height, decoder, salt)
    except (InvalidField, InvalidSetting):
        return None


def mended_record_of(data: bytes, index: int, width: int, height: int, decoder: int, salt: int) -> Record | None:
    """Correct a single flipped bit in the record of an index page's row; None if that does not repair it."""
    if len(data) <= _CRC.size:
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


def _identity(extras: bytes, prefix: Prefix) -> tuple[int, int, int]:
    """Return width, height and decoder of a record."""
    width, height, decoder = prefix.width, prefix.height, prefix.decoder
    for tag, content in _tagged(extras):
        if tag == _SIZE:
            width, height = content.varint(MAX_SIDE, "a width"), content.varint(MAX_SIDE, "a height")
        elif tag == _DECODER:
            decoder = content.varint(MAX_DECODERS - 1, "a decoder's number")
    return width, height, decoder


def _with_extras(record: Record, extras: bytes, payload: bytes) -> Record:
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


def header_bytes(data: bytes) -> int:
    """Return how many bytes a record has before its payload, by its first ones. Raises ``InvalidField``."""
    fields = Fields(data)
    head = fields.varint(2 * MAX_CHUNK_BYTES, "a record's length")
    fields.varint(MAX_PICTURES + _NEAR, "a record's index")
    extras = fields.varint(MAX_RECORD_HEADER_BYTES, "a record's header") if head & 1 else 0
    return fields.offset + extras


def parse_details(data: bytes) -> Details:
    """Read a record's details from what lies before its payload, which no checksum covers by itself.

    Raises ``InvalidField``.
    """
    fields, found = Fields(data), Details()
    head = fields.varint()
    fields.varint()
    for tag, content in _tagged(fields.take(fields.varint()) if head & 1 else b""):
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


def pictures_chunk(records: Sequence[Record], salt: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Write a chunk of records in order of index; return it, and each record's offset in the chunk and length."""
    first = records[0].index
    decoder = Counter(record.decoder for record in records).most_common(1)[0][0]
    size = Counter((record.width, record.height) for record in records).most_common(1)[0][0]
    prefix = Prefix(first, decoder, *size)
    previous = [first - 1, *(record.index for record in records[:-1])]
    parts = [serialize_record(record, prefix, before, salt) for record, before in zip(records, previous, strict=True)]
    start = prefix.serialize()
    header = chunk_header(PICTURES, len(start) + sum(map(len, parts)), salt, start)
    places, offset = [], len(header) + len(start)
    for part in parts:
        places.append((offset, len(part)))
        offset += len(part)
    return b"".join([header, start, *parts]), places
