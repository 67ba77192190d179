"""Stored files: originals of pictures, and files that are no pictures, whose bytes come back.

A small file, or one that is transcoded, lies in its record. A larger one lies in pieces, chunks of their own that the
record names, so that neither writing nor reading it takes more memory than a piece.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from unicorn_codec.errors import ChecksumMismatch
from unicorn_codec.format.chunks import DIGEST_BYTES
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_CHUNK_BYTES, MAX_EXPANSION, MAX_PIECE_BYTES, MAX_RAW_BYTES
from unicorn_codec.format.packed_bytes import unpack_bytes
from unicorn_codec.format.pages import MAX_OFFSET, Place
from unicorn_codec.format.records import CODE, FILE, ORIGINAL, Part, Record

PLAIN, PIECES, JPEG_XL, LEPTON, PNG = range(5)
WAYS = ("plain", "pieces", "jpeg-xl", "lepton", "png")
"""Ways to store a file, by their number: packed bytes, pieces of them, a JPEG file transcoded by JPEG XL or Lepton, or
a PNG file that is compressed again."""

TRANSCODED = (JPEG_XL, LEPTON, PNG)
SHA256_BYTES = 32
NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as a record holds it.

    Args:
        way: a number of ``WAYS``.
        file_bytes, sha256: of the file itself.
        nanoseconds: of its time of modification, beyond the second that the record has.
        data: as the way says: packed bytes, places of pieces, or what the file was transcoded to.
    """

    way: int
    file_bytes: int
    sha256: bytes
    data: bytes
    nanoseconds: int = 0

    def __post_init__(self) -> None:
        check(0 <= self.way < len(WAYS), f"a file stored in way {self.way}, which this software does not know")
        check(0 <= self.file_bytes <= MAX_CHUNK_BYTES, f"a file of {self.file_bytes} bytes")
        check(len(self.sha256) == SHA256_BYTES, f"a SHA-256 has {SHA256_BYTES} bytes")
        check(0 <= self.nanoseconds < NANOSECONDS, f"{self.nanoseconds} nanoseconds beyond a second")
        if self.way in TRANSCODED:
            most = min(MAX_RAW_BYTES, MAX_EXPANSION * len(self.data))
            check(self.file_bytes <= most, f"a file of {self.file_bytes} bytes from {len(self.data)}")
        elif self.way == PLAIN:
            check(self.file_bytes <= MAX_PIECE_BYTES, f"a file of {self.file_bytes} bytes in one piece")
        else:
            check(self.file_bytes > MAX_PIECE_BYTES, f"a file of {self.file_bytes} bytes in pieces")


def serialize_stored_file(stored: StoredFile) -> bytes:
    """Write a stored file as the content of a record's part."""
    head = bytes([stored.way]) + varint(stored.file_bytes) + stored.sha256 + varint(stored.nanoseconds)
    return head + stored.data


def parse_stored_file(record: Record) -> StoredFile:
    """Read the file that a record holds; the inverse of ``record_of_file``.

    Raises ``InvalidField``. Sizes are checked, the data is not decoded.
    """
    with refusing(f"picture {record.index}"):
        parts = [part for part in record.parts if part.kind in (ORIGINAL, FILE)]
        check(len(parts) == 1, f"a record with {len(parts)} files")
        check(parts[0].kind == ORIGINAL or (record.width, record.height) == (1, 1), "a file that is no picture is 1x1")
        fields = Fields(parts[0].data)
        stored = StoredFile(
            way=fields.take(1)[0],
            file_bytes=fields.varint(MAX_CHUNK_BYTES, "the bytes of a file"),
            sha256=fields.take(SHA256_BYTES),
            nanoseconds=fields.varint(NANOSECONDS - 1, "nanoseconds"),
            data=fields.rest(),
        )
        if stored.way == PIECES:
            piece_places(stored)
        return stored


def record_of_file(
    index: int, stored: StoredFile, *, size: tuple[int, int] | None, decoder: int = 0, modified: int | None = None
) -> Record:
    """Return the record of a stored file.

    Args:
        size: width and height of the picture that it is the original of; None for a file that is no picture.
        decoder: any of the archive's; the file needs none.
        modified: when it was modified, in seconds since 1970 UTC.
    """
    kind = FILE if size is None else ORIGINAL
    width, height = size or (1, 1)
    parts = (Part(kind, serialize_stored_file(stored)),)
    return Record(index=index, width=width, height=height, decoder=decoder, parts=parts, modified=modified)


def holds_file(record: Record) -> bool:
    """Return whether a record holds a file, and no code of a picture."""
    return not any(part.kind == CODE for part in record.parts)


def pieces_needed(file_bytes: int) -> int:
    """Return the number of pieces of a file."""
    return -(-file_bytes // MAX_PIECE_BYTES)


def serialize_places(places: Sequence[Place]) -> bytes:
    """Write the places of a file's pieces, in order."""
    return b"".join(varint(place.offset) + varint(place.length) + place.digest for place in places)


def piece_places(stored: StoredFile) -> list[Place]:
    """Return the places of a file's pieces, none if it lies in its record. Raises ``InvalidField``."""
    if stored.way != PIECES:
        return []
    fields, places = Fields(stored.data), list[Place]()
    while fields.left:
        offset, length = fields.varint(MAX_OFFSET >> 1, "an offset"), fields.varint(MAX_CHUNK_BYTES, "a length")
        places.append(Place(offset, length, fields.take(DIGEST_BYTES)))
    needed = pieces_needed(stored.file_bytes)
    check(len(places) == needed, f"a file of {stored.file_bytes} bytes in {len(places)} pieces, not {needed}")
    return places


def pieces_of_record(record: Record) -> list[Place]:
    """Return the places of the pieces that a record needs besides itself. Raises ``InvalidField``."""
    return piece_places(parse_stored_file(record)) if holds_file(record) else []


def with_places(record: Record, places: Sequence[Place]) -> Record:
    """Return the record of a file whose pieces were written again, at other places."""
    stored = replace(parse_stored_file(record), data=serialize_places(places))
    parts = (Part(record.parts[0].kind, serialize_stored_file(stored)),)
    return replace(record, parts=parts)


def unpacked_pieces(stored: StoredFile, read: Callable[[Place], bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file that is not transcoded, a piece at a time.

    Args:
        read: returns the payload of a piece.

    Raises:
        FormatError: a piece is damaged.
    """
    if stored.way == PLAIN:
        yield _unpacked(stored.data, stored.file_bytes)
        return
    left = stored.file_bytes
    for place in piece_places(stored):
        length = min(left, MAX_PIECE_BYTES)
        yield _unpacked(read(place), length)
        left -= length


def _unpacked(packed: bytes, length: int) -> bytes:
    with refusing("a stored file"):
        raw = unpack_bytes(packed, length)
        check(len(raw) == length, f"{len(raw)} bytes where {length} belong")
        return raw


def verified(stored: StoredFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a file. Raises ``ChecksumMismatch`` behind the last one if together they are another file."""
    digest, length = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        length += len(piece)
        yield piece
    if (length, digest.digest()) != (stored.file_bytes, stored.sha256):
        raise ChecksumMismatch("a stored file does not come back: its SHA-256 is another one than the archive says")
