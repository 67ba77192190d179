"""Blobs of metadata, several of which are compressed together in a chunk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_BLOB_BYTES, MAX_BLOBS
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes

FACTS, EXIF, XMP, IPTC, ICC, PNG_TEXT = range(1, 7)
"""Kinds of blobs."""

BLOBS_AT_ONCE = 1 << 16
"""Bytes of metadata that share a chunk, before compression: all of it is read for one picture."""

_FILE_BYTES, _SHA256 = 2, 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What identifies an original file: its bytes, and their SHA-256."""

    file_bytes: int | None = None
    sha256: bytes | None = None


def serialize_facts(file_bytes: int, sha256: bytes) -> bytes:
    """Write the facts about an original file as a blob."""
    check(len(sha256) == 32, "a SHA-256 has 32 bytes")
    return bytes([_FILE_BYTES, 8]) + file_bytes.to_bytes(8, "little") + bytes([_SHA256, 32]) + sha256


def parse_facts(blob: bytes) -> Facts:
    """Read a blob of facts; unknown fields are skipped. Raises ``InvalidField``."""
    fields, found = Fields(blob), dict[int, bytes]()
    with refusing("facts"):
        while fields.left:
            tag = fields.take(1)[0]
            found[tag] = fields.take(fields.varint(MAX_BLOB_BYTES, "a field's length"))
        size, digest = found.get(_FILE_BYTES), found.get(_SHA256)
        check(size is None or len(size) == 8, "a number of bytes is a u64")
        check(digest is None or len(digest) == 32, "a SHA-256 has 32 bytes")
    return Facts(None if size is None else int.from_bytes(size, "little"), digest)


def serialize_blobs(blobs: Sequence[bytes]) -> bytes:
    """Write the payload of a chunk of blobs: their number, their lengths, and their content as packed bytes."""
    check(1 <= len(blobs) <= MAX_BLOBS, f"a chunk has 1 to {MAX_BLOBS} blobs, not {len(blobs)}")
    return varint(len(blobs)) + b"".join(varint(len(blob)) for blob in blobs) + pack_bytes(b"".join(blobs))


def parse_blobs(payload: bytes) -> list[bytes]:
    """Read the blobs of a chunk. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("metadata"):
        count = fields.varint(MAX_BLOBS, "the number of blobs")
        check(count > 0, "a chunk without blobs")
        lengths = [fields.varint(MAX_BLOB_BYTES, "a blob's length") for _ in range(count)]
        total = sum(lengths)
        check(total <= MAX_BLOB_BYTES, f"blobs of {total} bytes, at most {MAX_BLOB_BYTES} are allowed")
        raw = Fields(unpack_bytes(fields.rest(), total))
        blobs = [raw.take(length) for length in lengths]
        raw.finish()
        return blobs


def in_parts(blobs: Mapping[bytes, bytes]) -> Iterator[list[bytes]]:
    """Yield keys of blobs that share a chunk."""
    part, size = list[bytes](), 0
    for key, blob in blobs.items():
        if part and (size + len(blob) > BLOBS_AT_ONCE or len(part) == MAX_BLOBS):
            yield part
            part, size = [], 0
        part.append(key)
        size += len(blob)
    if part:
        yield part
