"""The part of a packaged model that decodes, stored in an archive for software that lacks the model.

Layout: ``format_spec/uni-1.md``, "a and s".
"""

import hashlib
from dataclasses import dataclass

from unicorn_codec.errors import ChecksumMismatch, InvalidField
from unicorn_codec.format.fields import Fields, refusing, string, varint
from unicorn_codec.format.header import FINGERPRINT_BYTES
from unicorn_codec.format.limits import MAX_CONFIG_BYTES, MAX_RAW_BYTES
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes

SHA256_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model of an archive.

    Args:
        fingerprint: of the decoders that it serves.
        name: of the packaged model.
        config: of the autoencoder, as JSON in ASCII.
        decoder: safetensors bytes of the tensors of the autoencoder's decoder.
        context_model: safetensors bytes of the context model; empty for decoders with a network.
    """

    fingerprint: bytes
    name: str
    config: bytes
    decoder: bytes
    context_model: bytes = b""


def serialize_model(model: StoredModel) -> bytes:
    """Write the payload of a chunk of a model."""
    content = b"".join((string(model.name), *map(_sized, (model.config, model.decoder, model.context_model))))
    return model.fingerprint + hashlib.sha256(model.fingerprint + content).digest() + pack_bytes(content)


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def fingerprint_of(payload: bytes) -> bytes:
    """Return the fingerprint in the payload of a model, without unpacking it. Raises ``InvalidField``."""
    return Fields(payload).take(FINGERPRINT_BYTES)


def parse_model(payload: bytes) -> StoredModel:
    """Read the payload of a chunk of a model.

    Raises:
        InvalidField: it is none.
        ChecksumMismatch: its content has another SHA-256 than it says.
    """
    with refusing("model"):
        fields = Fields(payload)
        fingerprint, digest = fields.take(FINGERPRINT_BYTES), fields.take(SHA256_BYTES)
        content = unpack_bytes(fields.rest(), MAX_RAW_BYTES)
        if hashlib.sha256(fingerprint + content).digest() != digest:
            raise ChecksumMismatch("model: its content has another SHA-256 than it says")
        inner = Fields(content)
        name = inner.text()
        config = inner.take(inner.varint(MAX_CONFIG_BYTES, "the bytes of a configuration"))
        decoder, context_model = (inner.take(inner.varint(MAX_RAW_BYTES, "the bytes of tensors")) for _ in range(2))
        inner.finish()
        return StoredModel(
            fingerprint=fingerprint, name=name, config=config, decoder=decoder, context_model=context_model
        )


def serialize_text(text: bytes) -> bytes:
    """Write the payload of a chunk of the specification."""
    return pack_bytes(text)


def parse_text(payload: bytes) -> str:
    """Read the payload of a chunk of the specification. Raises ``InvalidField``."""
    try:
        return unpack_bytes(payload, MAX_RAW_BYTES).decode()
    except UnicodeDecodeError as error:
        raise InvalidField(f"specification: not valid UTF-8 at its byte {error.start}") from error
