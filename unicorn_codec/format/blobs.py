"""Blobs of metadata, several of which are compressed together in a chunk."""

from collections.abc import Sequence

from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_BLOB_BYTES, MAX_BLOBS
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes

FACTS, EXIF, XMP, IPTC, ICC, PNG_TEXT = range(1, 7)
"""Kinds of blobs. Facts come from the file system and the original file."""


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
