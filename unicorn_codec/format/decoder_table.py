"""Decoders of an archive: the model of a picture's code, its quantisation step, and the archive's update of it."""

import struct
from dataclasses import dataclass

from unicorn_codec.format.chunks import DIGEST_BYTES
from unicorn_codec.format.code_kinds import HALF_LEVELS
from unicorn_codec.format.fields import Fields, check, string, varint
from unicorn_codec.format.header import (
    FINGERPRINT_BYTES,
    MAX_CODED_CHANNELS,
    MAX_LATENT_CHANNELS,
    MAX_LEVEL,
    OWN_CLASS,
    ModelReference,
)
from unicorn_codec.format.limits import MAX_CHUNK_BYTES
from unicorn_codec.format.pages import MAX_OFFSET, Place

OF_CODES, OF_NETWORK, OF_FUNCTIONS = range(3)
KINDS = ("codes", "network", "functions")
"""Kinds of decoders, by their numbers in the file."""

SHORT = 128
"""Flag in the level's byte for short codes."""

_LEVELS = MAX_LEVEL + HALF_LEVELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """Decoder of some of an archive's pictures.

    Args:
        model: the model of their codes or latents.
        is_network: whether latents come from a network of the archive instead of codes.
        latent_step: quantisation step of coded latents, also an input of the model's decoder; with functions the
            factor of the latents that they give; otherwise 1.
        level: coarseness that conditions the context model, see ``model_level``; 0 with a network or functions.
        short: whether codes are short codes.
        weights: the chunk of the network, of the functions' shape, or of the update of the model's decoder; None
            without any.
        is_functions: whether codes are overfitted functions.
    """

    model: ModelReference
    is_network: bool = False
    latent_step: float = 1.0
    level: int = 0
    short: bool = True
    weights: Place | None = None
    is_functions: bool = False

    def __post_init__(self) -> None:
        check(0 < self.latent_step <= 1e3, f"latent step: {self.latent_step}")
        check(0 <= self.level < _LEVELS, f"the level is 0 to {_LEVELS - 1}, not {self.level}")
        channels = self.model.latent_channels
        is_of_codes = not (self.is_network or self.is_functions)
        check(not is_of_codes or channels <= MAX_CODED_CHANNELS, f"codes of {channels} latent channels")
        check(is_of_codes or self.weights is not None, "a network, or functions, without weights")
        check(not (self.is_network and self.is_functions), "a decoder of a network and of functions")

    @property
    def kind(self) -> int:
        """Number of the decoder's kind in the file."""
        return OF_NETWORK if self.is_network else OF_FUNCTIONS if self.is_functions else OF_CODES


def serialize_decoder(decoder: Decoder) -> bytes:
    """Write a decoder as stored in the footer and, after its number, in its chunk."""
    model, weights = decoder.model, decoder.weights
    return b"".join((
        bytes([decoder.kind]),
        string(model.name) + string("" if model.class_name == OWN_CLASS else model.class_name),
        model.fingerprint + varint(model.weight_bytes) + varint(model.latent_channels) + bytes([model.downsampling]),
        struct.pack("<dB", decoder.latent_step, decoder.level + SHORT * decoder.short),
        varint(0) if weights is None else varint(weights.offset) + varint(weights.length) + weights.digest,
    ))  # fmt: skip


def take_decoder(fields: Fields) -> Decoder:
    """Read a decoder. Raises ``InvalidField`` and ``InvalidSetting``."""
    (kind,) = fields.numbers("B")
    check(
        kind in (OF_CODES, OF_NETWORK, OF_FUNCTIONS),
        f"a decoder of kind {kind}, known are 0 (codes), 1 (network) and 2 (functions)",
    )
    name, class_name = fields.text(), fields.text()
    check(class_name != OWN_CLASS, f"the class {OWN_CLASS} is written as an empty string")
    model = ModelReference(
        name=name,
        class_name=class_name or OWN_CLASS,
        fingerprint=fields.take(FINGERPRINT_BYTES),
        weight_bytes=fields.varint(what="the model's bytes"),
        latent_channels=fields.varint(MAX_LATENT_CHANNELS, "latent channels"),
        downsampling=fields.take(1)[0],
    )
    step, level = fields.numbers("dB")
    offset = fields.varint(MAX_OFFSET >> 1, "an offset")
    weights = None
    if offset:
        weights = Place(offset, fields.varint(MAX_CHUNK_BYTES, "a chunk's length"), fields.take(DIGEST_BYTES))
    return Decoder(
        model=model,
        is_network=kind == OF_NETWORK,
        latent_step=step,
        level=level & SHORT - 1,
        short=level >= SHORT,
        weights=weights,
        is_functions=kind == OF_FUNCTIONS,
    )
