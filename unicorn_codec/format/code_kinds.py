"""What the first bytes of a picture's code say: latents, a picture at half size, AVIF, or a picture of a sequence."""

from unicorn_codec.format.fields import Fields, varint
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.format.limits import MAX_PICTURES

HALF = 128
AVIF = 255
"""First byte of an AVIF code. Of any other code it is a number of channels, of which ``HALF`` more says
that the code is of the picture at half size."""

FIRST_OF_SEQUENCE, LATER_OF_SEQUENCE = 2, 3
"""Second byte of an AVIF code of a sequence: its first picture's, or of one that goes on from another."""

HALF_LEVELS = 4
"""Levels that the step of a half-size code is finer: an octave."""


def is_avif(code: bytes) -> bool:
    """Whether a code is for ``avif`` to read."""
    return code[0] == AVIF


def is_in_sequence(code: bytes) -> bool:
    """Whether a code is one of a sequence of alike pictures, for ``avif_sequence`` to read."""
    return is_avif(code) and code[1:2] in (bytes([FIRST_OF_SEQUENCE]), bytes([LATER_OF_SEQUENCE]))


def is_half_size(code: bytes) -> bool:
    """Whether a code is of a picture at half size."""
    return HALF <= code[0] < AVIF


def model_level(level: int, *, half: bool) -> int:
    """The level that the context model is told of."""
    return max(0, level - HALF_LEVELS) if half else min(level, MAX_LEVEL - 1)


def decoder_step(step: float, *, half: bool) -> float:
    """The step of a code's latents, which the autoencoder's decoder is told of."""
    return step / 2 if half else step


def mark_half_size(code: bytes) -> bytes:
    """The code of a picture at half size, from that of its latents alone."""
    return bytes([code[0] + HALF]) + code[1:]


def unmark_half_size(code: bytes) -> bytes:
    """The inverse of ``mark_half_size``."""
    return bytes([code[0] - HALF]) + code[1:]


def parent_of_code(code: bytes) -> int | None:
    """Index of the picture that a later picture of a sequence goes on from; None of any other code.

    Raises ``InvalidField`` if it is cut.
    """
    if code[:2] != bytes([AVIF, LATER_OF_SEQUENCE]):
        return None
    return Fields(code, 2).varint(MAX_PICTURES - 1, "the picture that a code goes on from")


def code_of_unit(unit: bytes, parent: int | None) -> bytes:
    """The code of a sequence's picture, from its unit and the index of the picture that it goes on from."""
    if parent is None:
        return bytes([AVIF, FIRST_OF_SEQUENCE]) + unit
    return bytes([AVIF, LATER_OF_SEQUENCE]) + varint(parent) + unit


def unit_of_code(code: bytes) -> bytes:
    """The unit in the code of a sequence's picture. Raises ``InvalidField`` if the code is cut."""
    fields = Fields(code, 2)
    if code[1] == LATER_OF_SEQUENCE:
        fields.varint(MAX_PICTURES - 1, "the picture that a code goes on from")
    return fields.rest()
