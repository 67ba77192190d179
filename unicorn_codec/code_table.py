"""The images' codes <-> the payload of the code section (CODE). What a code says is for ``codes`` to read."""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unicorn_codec.bit_packing import MAX_CODE_BITS, compress, decompress, pack_codes, unpack_codes
from unicorn_codec.header import MAX_LEVEL, check
from unicorn_codec.sections import Fields, refusing

_LAYOUT = "B32sBQ"

HALF = 128
CLASSIC = 255
"""First byte of a code that a classic codec made. Of any other it is a number of channels, of which ``HALF`` more says
that the code is of the picture at half size."""

FIRST_OF_SEQUENCE, LATER_OF_SEQUENCE = 2, 3
"""Second byte of a classic code of a sequence: its first picture's, or of one that goes on from another."""

MAX_SEQUENCE = 64
"""Images of a sequence: so many have to be decoded for the last one."""

HALF_LEVELS = 4
"""Levels that the step of a half-size code is finer: an octave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Entropy-coded latents of all images, or what a classic codec made of some.

    Args:
        level: coarseness of the quantisation step, see ``told_level``, below ``MAX_LEVEL + HALF_LEVELS``.
        model_sha256: of the code model that they were made with; no other one can read them.
        streams: the code of the image at each position, none empty.
    """

    level: int
    model_sha256: bytes
    streams: tuple[bytes, ...]

    def __post_init__(self) -> None:
        levels = MAX_LEVEL + HALF_LEVELS
        check(0 <= self.level < levels, f"the level is 0 to {levels - 1}, not {self.level}")
        check(len(self.model_sha256) == 32, "a SHA-256 has 32 bytes")
        check(all(self.streams), "a code has at least one byte")


def is_classic(code: bytes) -> bool:
    """Whether a code is for ``classic`` to read."""
    return code[0] == CLASSIC


def is_in_sequence(code: bytes) -> bool:
    """Whether a code is one of a sequence of alike pictures, for ``classic_sequence`` to read."""
    return is_classic(code) and code[1:2] in (bytes([FIRST_OF_SEQUENCE]), bytes([LATER_OF_SEQUENCE]))


def is_half(code: bytes) -> bool:
    """Whether a code is of a picture at half size."""
    return HALF <= code[0] < CLASSIC


def told_level(level: int, *, half: bool) -> int:
    """The level that the code model is told of."""
    return max(0, level - HALF_LEVELS) if half else min(level, MAX_LEVEL - 1)


def told_step(step: float, *, half: bool) -> float:
    """The step of a code's latents, which the autoencoder's decoder is told of."""
    return step / 2 if half else step


def marked_half(code: bytes) -> bytes:
    """The code of a picture at half size, from that of its latents alone."""
    return bytes([code[0] + HALF]) + code[1:]


def unmarked(code: bytes) -> bytes:
    """The inverse of ``marked_half``."""
    return bytes([code[0] - HALF]) + code[1:]


def serialize_codes(codes: Codes, images: int) -> bytes:
    """Write the payload of CODE. Raises ``InvalidSetting`` unless there is one code an image, of less than 4 GiB."""
    check(len(codes.streams) == images, f"{len(codes.streams)} codes for {images} images")
    lengths = [len(stream) for stream in codes.streams]
    bits = max(lengths).bit_length()
    check(bits <= MAX_CODE_BITS, f"a code has {max(lengths)} bytes, allowed are less than 2^{MAX_CODE_BITS}")
    table = compress(pack_codes(np.array(lengths, np.uint32), bits))
    head = struct.pack("<" + _LAYOUT, codes.level, codes.model_sha256, bits, len(table))
    return b"".join((head, table, *codes.streams))


def parse_codes(payload: bytes, images: int) -> Codes:
    """Read the payload of CODE. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("CODE"):
        level, model_sha256, bits, table_bytes = fields.numbers(_LAYOUT)
        check(1 <= bits <= MAX_CODE_BITS, f"lengths of {bits} bits, allowed are 1 to {MAX_CODE_BITS}")
        packed = fields.take(table_bytes)
        streams = fields.rest()
        # Before the lengths are unpacked: they take memory for each image, however well they are packed.
        check(images <= len(streams), f"codes of {images} images, but {len(streams)} bytes are there")
        table = decompress(packed, -(-images * bits // 8))
        lengths = unpack_codes(table, bits, images)
        longest = int(lengths.max())
        check(longest.bit_length() == bits, f"lengths of {bits} bits, but the longest is {longest}")
        check(bool(lengths.all()), "a code has at least one byte")
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        # Held against the bytes that are there before a single code is cut out.
        check(ends[-1] == len(streams), f"codes of {ends[-1]} bytes in all, but {len(streams)} are there")
        return Codes(
            level=level,
            model_sha256=model_sha256,
            streams=tuple(streams[start:end] for start, end in pairwise([0, *ends])),
        )
