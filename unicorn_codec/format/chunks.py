"""Chunks: the framed and checksummed parts of an archive after its preamble.

A chunk consists of a tag (three bytes of synchronisation and a letter for its kind), its payload's length, a checksum
of both, the payload, and the payload's checksum. Each record in a chunk of pictures has a checksum of its own too, so
that a picture is read without the rest of its chunk.

Checksums are seeded by the archive's id, so that a chunk of another archive, such as one stored as a file in this one,
is never mistaken for a chunk of this archive. The head and the footer, which contain the id, use the seed zero.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass

from unicorn_codec.errors import ChecksumMismatch, InvalidField, TruncatedFile
from unicorn_codec.format.fields import Fields, PayloadEnds, varint
from unicorn_codec.format.limits import MAX_CHUNK_BYTES

SYNC = b"\xf5UN"
HEAD, DECODER, PICTURES, INDEX, FOOTER, WEIGHTS, PIECE = "H", "D", "P", "I", "F", "W", "O"
NAMES, LOOKUP, METADATA, TOMBSTONES, MODEL, TEXT = "n", "l", "m", "t", "a", "s"
LETTERS = {
    HEAD: "head",
    DECODER: "decoder",
    PICTURES: "pictures",
    INDEX: "index page",
    FOOTER: "footer",
    WEIGHTS: "weights",
    PIECE: "piece of a file",
    NAMES: "names",
    LOOKUP: "name lookup",
    METADATA: "metadata",
    TOMBSTONES: "removed pictures",
    MODEL: "model",
    TEXT: "specification",
}
"""Kinds of chunks. Decoding pictures depends on those in upper case; those in lower case are optional for a reader."""

UNSALTED = (HEAD, FOOTER)
ID_BYTES = 8
DIGEST_BYTES = 8
PREFIX_NUMBERS = 4
LONGEST_HEADER = 4 + 10 + 4 + 10 * PREFIX_NUMBERS
_CRC = struct.Struct("<I")
CRC_BYTES = _CRC.size


def salt_of(archive_id: bytes) -> int:
    """Return the seed of an archive's checksums."""
    return zlib.crc32(archive_id)


def digest_of(payload: bytes) -> bytes:
    """Return the digest by which another chunk refers to a payload: the first bytes of its SHA-256."""
    return hashlib.sha256(payload).digest()[:DIGEST_BYTES]


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """Header of a chunk.

    Args:
        letter: one of ``LETTERS``, or one that this version does not know.
        length: bytes of the payload.
        header_bytes: length of the header itself.
    """

    letter: str
    length: int
    header_bytes: int

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole chunk, checksums included."""
        return self.header_bytes + self.length + CRC_BYTES


def _start(letter: str, salt: int) -> int:
    return 0 if letter in UNSALTED else salt


def chunk(letter: str, payload: bytes, salt: int) -> bytes:
    """Write a chunk that is not one of pictures."""
    return chunk_header(letter, len(payload), salt) + payload + payload_checksum(letter, payload, salt)


def payload_checksum(letter: str, payload: bytes, salt: int) -> bytes:
    """Write the checksum that a chunk ends with."""
    return _CRC.pack(zlib.crc32(payload, _start(letter, salt)))


def chunk_header(letter: str, length: int, salt: int, prefix: bytes = b"") -> bytes:
    """Write the header of a chunk. Its checksum includes ``prefix``, the beginning of a payload of pictures."""
    head = SYNC + letter.encode() + varint(length)
    return head + _CRC.pack(zlib.crc32(prefix, zlib.crc32(head, _start(letter, salt))))


def parse_chunk_header(data: bytes, offset: int, salt: int | None) -> ChunkHeader:
    """Read the header at an offset. With ``salt`` None its checksum is not verified.

    Raises:
        TruncatedFile: the data ends within the header.
        InvalidField: there is no header at the offset.
        ChecksumMismatch: it is damaged.
    """
    if data[offset : offset + len(SYNC)] != SYNC:
        raise InvalidField(f"no chunk begins at byte {offset}")
    fields = Fields(data, offset + len(SYNC))
    try:
        letter = chr(fields.take(1)[0])
        if not (letter.isascii() and letter.isalpha()):
            raise InvalidField(f"chunk at byte {offset}: its tag ends in {letter!r}, which is no letter")
        length = fields.varint(MAX_CHUNK_BYTES, "a chunk's length")
        summed = data[offset : fields.offset]
        (stored,) = fields.numbers("I")
        header = ChunkHeader(letter, length, fields.offset - offset)
        if letter == PICTURES:  # the checksum includes the payload's first numbers
            start = fields.offset
            for _ in range(PREFIX_NUMBERS):
                fields.varint()
            summed += data[start : fields.offset]
    except PayloadEnds as error:
        raise TruncatedFile(f"the data ends within the header of the chunk at byte {offset}") from error
    if salt is not None and zlib.crc32(summed, _start(letter, salt)) != stored:
        raise ChecksumMismatch(f"chunk {letter!r} at byte {offset}: the checksum of its header does not hold")
    return header


def parse_chunk(data: bytes, letter: str, salt: int, where: str) -> bytes:
    """Read the payload of the chunk that ``data`` consists of.

    Raises:
        InvalidField: the chunk has another kind or length.
        ChecksumMismatch: it is damaged.
    """
    with_context = f"{LETTERS.get(letter, 'unknown chunk')} at {where}"
    try:
        header = parse_chunk_header(data, 0, salt)
    except TruncatedFile as error:
        raise InvalidField(f"{with_context}: {error}") from error
    except (InvalidField, ChecksumMismatch) as error:
        raise type(error)(f"{with_context}: {error}") from error
    if header.letter != letter:
        raise InvalidField(f"{with_context}: a chunk {header.letter!r} lies there")
    if header.total_bytes != len(data):
        raise InvalidField(f"{with_context}: the chunk has {header.total_bytes} bytes, expected are {len(data)}")
    payload = data[header.header_bytes : header.header_bytes + header.length]
    if payload_checksum(letter, payload, salt) != data[-CRC_BYTES:]:
        raise ChecksumMismatch(f"{with_context}: its checksum does not hold")
    return payload
