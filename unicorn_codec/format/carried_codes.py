"""Carried codes: the code of a picture as its unpacked file carries it, so that packing can take it over.

A file that is unpacked holds pixels that an archive holds as a code. Coding them again would lose quality and save
nothing, so the file carries the code, what decodes it, and a digest of the pixels, by which an edited picture is known.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.chunks import ID_BYTES
from unicorn_codec.format.decoder_table import Decoder, serialize_decoder, take_decoder
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_CHUNK_BYTES, MAX_PICTURES

VERSION = 1
SHA256_BYTES = 32
WITHOUT_UPDATE, NAMED_UPDATE, WHOLE_UPDATE = 0, 1, 2
"""Whether the code's decoder has an update, which the file names by its SHA-256, or holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedCode:
    """The code of a picture, with what decodes it.

    Args:
        archive_id, index: of the picture, by which codes of a sequence refer to each other.
        decoder: of the code, without the place of its update.
        update_sha256: of the payload of the decoder's update; empty without one.
        update: its payload, where the file holds it.
        alpha: the opacity as archives store it; empty for an opaque picture.
        code: as in a record.
        pixels_sha256: see ``digest_of_pixels``; empty until the file is written.
    """

    archive_id: bytes
    index: int
    decoder: Decoder
    update_sha256: bytes = b""
    update: bytes = b""
    alpha: bytes = b""
    code: bytes
    pixels_sha256: bytes = b""


def serialize_carried(carried: CarriedCode) -> bytes:
    """Write a carried code whose digest of the pixels is known."""
    assert len(carried.pixels_sha256) == SHA256_BYTES, "the digest of the pixels is known when the file is written"
    kind = WHOLE_UPDATE if carried.update else NAMED_UPDATE if carried.update_sha256 else WITHOUT_UPDATE
    update = carried.update_sha256 + (varint(len(carried.update)) + carried.update if carried.update else b"")
    return b"".join((
        bytes([VERSION]) + carried.pixels_sha256 + carried.archive_id + varint(carried.index),
        serialize_decoder(replace(carried.decoder, weights=None)),
        bytes([kind]) + update,
        varint(len(carried.alpha)) + carried.alpha,
        carried.code,
    ))  # fmt: skip


def parse_carried(payload: bytes) -> CarriedCode:
    """Read a carried code. The inverse of ``serialize_carried``. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("a carried code"):
        version = fields.take(1)[0]
        check(version == VERSION, f"version {version}, known is {VERSION}")
        pixels_sha256, archive_id = fields.take(SHA256_BYTES), fields.take(ID_BYTES)
        index = fields.varint(MAX_PICTURES - 1, "an index")
        decoder = take_decoder(fields)
        check(decoder.weights is None and not decoder.is_network, "its decoder is of codes, without a place of weights")
        kind = fields.take(1)[0]
        check(kind <= WHOLE_UPDATE, f"an update of kind {kind}, known are 0 to {WHOLE_UPDATE}")
        digest = fields.take(SHA256_BYTES) if kind else b""
        update = fields.take(fields.varint(MAX_CHUNK_BYTES, "an update's bytes")) if kind == WHOLE_UPDATE else b""
        if kind == WHOLE_UPDATE and hashlib.sha256(update).digest() != digest:
            raise InvalidField("its update has another SHA-256")
        alpha = fields.take(fields.varint(MAX_CHUNK_BYTES, "the bytes of the opacity"))
        check(fields.left > 0, "it holds no code")
    return CarriedCode(
        archive_id=archive_id,
        index=index,
        decoder=decoder,
        update_sha256=digest,
        update=update,
        alpha=alpha,
        code=fields.rest(),
        pixels_sha256=pixels_sha256,
    )


def digest_of_pixels(pixels: NDArray[np.uint8]) -> bytes:
    """Return the SHA-256 of pixels (H, W, 3) or (H, W, 4): height, width and channels as lebs, then rows of pixels."""
    digest = hashlib.sha256(b"".join(map(varint, pixels.shape)))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
