"""The pictures' codes <-> the payload of the code section (CODE). What a code says is for ``codes`` to read."""

import struct
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.bit_packing import MAX_CODE_BITS, compress, decompress, pack_codes, unpack_codes
from unicorn_codec.format.header import MAX_LEVEL, check
from unicorn_codec.format.sections import Fields, refusing

_LAYOUT = "B32sBQ"

SHORT = 128
"""Added to the level where codes are short: their first bytes stand in the table, before the lengths of the rest."""

HALF = 128
AVIF = 255
"""First byte of a code that a AVIF encoder made. Of any other it is a number of channels, of which ``HALF`` more says
that the code is of the picture at half size."""

FIRST_OF_SEQUENCE, LATER_OF_SEQUENCE = 2, 3
"""Second byte of an AVIF code of a sequence: its first picture's, or of one that goes on from another."""

MAX_SEQUENCE = 64
"""Pictures of a sequence: so many have to be decoded for the last one."""

HALF_LEVELS = 4
"""Levels that the step of a half-size code is finer: an octave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Entropy-coded latents of all pictures, or what a AVIF encoder made of some.

    Args:
        level: coarseness of the quantisation step, see ``model_level``, below ``MAX_LEVEL + HALF_LEVELS``.
        model_sha256: of the context model that they were made with; no other one can read them.
        streams: the code of the picture at each position, none empty.
        short: the kind of the streams in them and of their table; files before the format's tenth text have long ones.
    """

    level: int
    model_sha256: bytes
    streams: tuple[bytes, ...]
    short: bool = True

    def __post_init__(self) -> None:
        levels = MAX_LEVEL + HALF_LEVELS
        check(0 <= self.level < levels, f"the level is 0 to {levels - 1}, not {self.level}")
        check(len(self.model_sha256) == 32, "a SHA-256 has 32 bytes")
        check(all(self.streams), "a code has at least one byte")


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


def serialize_codes(codes: Codes, pictures: int) -> bytes:
    """Write the payload of CODE. Raises ``InvalidSetting`` unless there is one code a picture, of less than 4 GiB."""
    check(len(codes.streams) == pictures, f"{len(codes.streams)} codes for {pictures} pictures")
    in_table = 1 if codes.short else 0  # bytes of each code
    lengths = [len(stream) - in_table for stream in codes.streams]
    bits = max(lengths).bit_length()
    check(bits <= MAX_CODE_BITS, f"a code has {max(lengths)} bytes, allowed are less than 2^{MAX_CODE_BITS}")
    firsts = b"".join(stream[:in_table] for stream in codes.streams)
    table = compress(firsts + pack_codes(np.array(lengths, np.uint32), bits))
    head = struct.pack("<" + _LAYOUT, codes.level + SHORT * codes.short, codes.model_sha256, bits, len(table))
    return b"".join((head, table, *(stream[in_table:] for stream in codes.streams)))


def parse_codes(payload: bytes, pictures: int) -> Codes:
    """Read the payload of CODE. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("CODE"):
        level, model_sha256, bits, table_bytes = fields.numbers(_LAYOUT)
        short = level >= SHORT
        packed = fields.take(table_bytes)
        streams = fields.rest()
        # Before the lengths are unpacked: they take memory for each picture, however well they are packed. For short
        # codes the table must hold a byte each, and decompression is limited to a factor.
        check(short or pictures <= len(streams), f"codes of {pictures} pictures, but {len(streams)} bytes are there")
        firsts, lengths = _parse_table(packed, pictures if short else 0, pictures, bits)
        check(short or bool(lengths.all()), "a code has at least one byte")
        # Held against the bytes that are there before a single code is cut out.
        total = int(lengths.sum(dtype=np.int64))
        check(total == len(streams), f"codes of {total} bytes in all, but {len(streams)} are there")
        places = enumerate(pairwise(accumulate(map(int, lengths), initial=0)))
        return Codes(
            level=level - SHORT * short,
            model_sha256=model_sha256,
            streams=tuple(firsts[place : place + 1] + streams[start:end] for place, (start, end) in places),
            short=short,
        )


def _parse_table(packed: bytes, first_bytes: int, pictures: int, bits: int) -> tuple[bytes, NDArray[np.uint32]]:
    """So many first bytes of codes, and (M,) how many bytes each code has beside that."""
    check(bits <= MAX_CODE_BITS, f"lengths of {bits} bits, allowed are at most {MAX_CODE_BITS}")
    table = decompress(packed, first_bytes + -(-pictures * bits // 8))
    check(len(table) >= first_bytes, f"codes of {pictures} pictures, but first bytes of {len(table)}")
    lengths = unpack_codes(table[first_bytes:], bits, pictures)
    longest = int(lengths.max())
    check(longest.bit_length() == bits, f"lengths of {bits} bits, but the longest is {longest}")
    return table[:first_bytes], lengths
