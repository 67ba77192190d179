"""Kinds of codes, by their first bytes: gray, latents, half size, AVIF, a picture of a sequence, a function, or latents
with a cell map."""

import math

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import Fields, varint
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.format.limits import MAX_PICTURES

GRAY = 127
"""First byte of a gray picture's code. The code follows that a picture in colour would have."""

HALF = 128
AVIF = 255
"""First byte of an AVIF code. In other codes it is the number of channels, plus ``HALF`` if the code is of the picture
at half size."""

FIRST_OF_SEQUENCE, LATER_OF_SEQUENCE = 2, 3
"""Second byte of an AVIF code in a sequence: of the first picture, or of one that depends on another."""

OVERFITTED = 4
"""Second byte, after ``AVIF``, of a code that is an overfitted function."""

MAPPED = 5
"""Second byte, after ``AVIF``, of a code of latents with a cell map. Its own first byte follows."""

NOISES = 80
"""Steps that a function can ask the autoencoder's decoder for."""

HALF_LEVELS = 4
"""Number of levels by which the step of a half-size code is finer: an octave."""


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
    """Return whether a code is an AVIF code, including those of sequences."""
    return unmark_gray(code)[:1] == bytes([AVIF]) and not is_overfitted(code) and not is_mapped(code)


def is_overfitted(code: bytes) -> bool:
    """Return whether a code is an overfitted function."""
    return unmark_gray(code)[:2] == bytes([AVIF, OVERFITTED])


def is_mapped(code: bytes) -> bool:
    """Return whether a code is one of latents with a cell map, see ``cell_map``."""
    return unmark_gray(code)[:2] == bytes([AVIF, MAPPED])


def mark_overfitted(function: bytes, noise: int) -> bytes:
    """Return the code of a function.

    Args:
        function: see ``overfitted.function_code``.
        noise: number of the step that the autoencoder's decoder gets, see ``step_of_noise``.
    """
    return bytes([AVIF, OVERFITTED, noise]) + function


def unmark_overfitted(code: bytes) -> tuple[bytes, int]:
    """Return the function in a code of one, and the number of its step; the inverse of ``mark_overfitted``.

    Raises ``InvalidField`` if the code is another one, or cut.
    """
    if code[:2] != bytes([AVIF, OVERFITTED]) or len(code) < 3:
        raise InvalidField("a code that is no overfitted function, where the archive's decoder reads nothing else")
    if code[2] >= NOISES:
        raise InvalidField(f"a step of number {code[2]}, allowed are 0 to {NOISES - 1}")
    return code[3:], code[2]


def step_of_noise(noise: int) -> float:
    """Return the step that the autoencoder's decoder gets with a function: 2^(number / 8)."""
    return float(2.0 ** (noise / 8))


def noise_of_step(step: float) -> int:
    """Return the number of the nearest step; the inverse of ``step_of_noise``."""
    return min(max(round(8 * math.log2(max(step, 1.0))), 0), NOISES - 1)


def is_in_sequence(code: bytes) -> bool:
    """Return whether a code belongs to a sequence of near-duplicates."""
    return is_avif(code) and unmark_gray(code)[1:2] in (bytes([FIRST_OF_SEQUENCE]), bytes([LATER_OF_SEQUENCE]))


def is_half_size(code: bytes) -> bool:
    """Return whether a code is of a picture at half size."""
    kind = unmark_gray(code)[2:3] if is_mapped(code) else unmark_gray(code)[:1]
    return bytes([HALF]) <= kind < bytes([AVIF])


def model_level(level: int, *, half: bool) -> int:
    """Return the level that conditions the context model."""
    return max(0, level - HALF_LEVELS) if half else min(level, MAX_LEVEL - 1)


def decoder_step(step: float, *, half: bool) -> float:
    """Return the step of a code's latents, which conditions the autoencoder's decoder."""
    return step / 2 if half else step


def mark_half_size(code: bytes) -> bytes:
    """Mark a code of latents as one of a picture at half size."""
    return bytes([code[0] + HALF]) + code[1:]


def unmark_half_size(code: bytes) -> bytes:
    """Invert ``mark_half_size``."""
    return bytes([code[0] - HALF]) + code[1:]


def parent_of_code(code: bytes) -> int | None:
    """Return the index of the picture that a later picture of a sequence depends on; None for other codes.

    Raises ``InvalidField`` if the code is truncated.
    """
    code = unmark_gray(code)
    if code[:2] != bytes([AVIF, LATER_OF_SEQUENCE]):
        return None
    return Fields(code, 2).varint(MAX_PICTURES - 1, "the picture that a code depends on")


def code_of_unit(unit: bytes, parent: int | None) -> bytes:
    """Return the code of a sequence's picture, given its unit and the picture it depends on."""
    if parent is None:
        return bytes([AVIF, FIRST_OF_SEQUENCE]) + unit
    return bytes([AVIF, LATER_OF_SEQUENCE]) + varint(parent) + unit


def unit_of_code(code: bytes) -> bytes:
    """Return the unit in the code of a sequence's picture. Raises ``InvalidField`` if the code is truncated."""
    code = unmark_gray(code)
    fields = Fields(code, 2)
    if code[1] == LATER_OF_SEQUENCE:
        fields.varint(MAX_PICTURES - 1, "the picture that a code depends on")
    return fields.rest()
