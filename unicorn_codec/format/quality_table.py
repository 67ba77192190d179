"""How well each picture came back when it was packed (section ``qual``), for people to see; no decoder needs it.

PSNRs are counted in hundredths of a dB, uint16; ``IDENTICAL`` is that of a picture that came back as it was.
"""

import math
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.bit_packing import compress, decompress, pack_codes, unpack_codes
from unicorn_codec.format.header import check
from unicorn_codec.format.sections import Fields, refusing

MAX_PSNR = 20_000
"""In hundredths of a dB: more than one level in the largest picture leaves."""

IDENTICAL = 0xFFFF
MAX_PSNR_BITS = 15

Hundredths = NDArray[np.uint16]


def to_hundredths(psnrs_db: Sequence[float]) -> Hundredths:
    """PSNRs in dB, infinite for identical pictures, as a file holds them."""
    rounded = [IDENTICAL if math.isinf(value) else min(MAX_PSNR, max(0, round(100 * value))) for value in psnrs_db]
    return np.array(rounded, np.uint16)


def in_db(hundredths: int) -> float:
    """The inverse, up to rounding, for one picture."""
    return math.inf if hundredths == IDENTICAL else hundredths / 100


def serialize_psnrs(psnrs: Hundredths, pictures: int) -> bytes:
    """Write the payload of ``qual``: the lowest value, then each one's distance from it; all ones for identical."""
    check(psnrs.shape == (pictures,), f"{psnrs.size} PSNRs for {pictures} pictures")
    finite = psnrs[psnrs != IDENTICAL]
    lowest, highest = (int(finite.min()), int(finite.max())) if finite.size else (0, 0)
    check(highest <= MAX_PSNR, f"a PSNR of {highest / 100} dB, at most {MAX_PSNR / 100} are allowed")
    bits = (highest - lowest + 1).bit_length() if finite.size else 0
    codes = np.where(psnrs == IDENTICAL, (1 << bits) - 1, psnrs.astype(np.int64) - lowest).astype(np.uint32)
    return struct.pack("<HB", lowest, bits) + compress(pack_codes(codes, bits))


def parse_psnrs(payload: bytes, pictures: int) -> Hundredths:
    """Read the payload of ``qual``: (M,) uint16, read-only. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("qual"):
        lowest, bits = fields.numbers("HB")
        check(bits <= MAX_PSNR_BITS, f"PSNRs of {bits} bits, allowed are 0 to {MAX_PSNR_BITS}")
        codes = unpack_codes(decompress(fields.rest(), -(-pictures * bits // 8)), bits, pictures)
        is_finite = codes != (1 << bits) - 1 if bits else False
        highest = lowest + int(codes.max(where=is_finite, initial=0))
        check(highest <= MAX_PSNR, f"a PSNR of {highest / 100} dB, at most {MAX_PSNR / 100} are allowed")
    if bits == 0:  # however many pictures the file claims, they take no memory
        return np.broadcast_to(np.uint16(IDENTICAL), (pictures,))
    psnrs = np.where(is_finite, lowest + codes, IDENTICAL).astype(np.uint16)
    psnrs.flags.writeable = False
    return psnrs
