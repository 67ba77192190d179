"""What the first bytes of a picture's code say: gray, latents, half size, AVIF, or a picture of a sequence."""

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import Fields, varint
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.format.limits import MAX_PICTURES

GRAY = 127
"""First byte of a gray picture's code. The code follows that a picture in colour would have."""

HALF = 128
AVIF = 255
"""First byte of an AVIF code. Of any other code it is a number of channels, of which ``HALF`` more says
that the code is of the picture at half size."""

FIRST_OF_SEQUENCE, LATER_OF_SEQUENCE = 2, 3
"""Second byte of an AVIF code of a sequence: its first picture's, or of one that goes on from another."""

HALF_LEVELS = 4
"""Levels that the step of a half-size code is finer: an octave."""


def is_gray(code: bytes) -> bool:
    """Return whether a code is marked as that of a gray picture."""
    return code[0] == GRAY


def mark_gray(code: bytes) -> bytes:
    """Return the code of a gray picture, from that of a picture in colour."""
    return bytes([GRAY]) + code


def unmark_gray(code: bytes) -> bytes:
    """Return a code without the mark of a gray picture; the inverse of ``mark_gray`` where there is one."""
    return code[1:] if code[:1] == bytes([GRAY]) else code


def colour_code(code: bytes) -> bytes:
    """Return a code without the mark of a gray picture. Raises ``InvalidField`` unless a code follows the mark."""
    unmarked = unmark_gray(code)
    if is_gray(code) and (not unmarked or is_gray(unmarked)):
        raise InvalidField("no code follows the mark of a gray picture")
    return unmarked


def is_avif(code: bytes) -> bool:
    """Return whether a code is for ``avif`` to read."""
    return unmark_gray(code)[:1] == bytes([AVIF])


def is_in_sequence(code: bytes) -> bool:
    """Return whether a code is one of a sequence, for ``avif_sequence`` to read."""
    return is_avif(code) and unmark_gray(code)[1:2] in (bytes([FIRST_OF_SEQUENCE]), bytes([LATER_OF_SEQUENCE]))


def is_half_size(code: bytes) -> bool:
    """Return whether a code is of a picture at half size."""
    return bytes([HALF]) <= unmark_gray(code)[:1] < bytes([AVIF])


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
    code = unmark_gray(code)
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
    code = unmark_gray(code)
    fields = Fields(code, 2)
    if code[1] == LATER_OF_SEQUENCE:
        fields.varint(MAX_PICTURES - 1, "the picture that a code goes on from")
    return fields.rest()
