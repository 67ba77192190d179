"""Correction of single flipped bits: the difference of the CRC-32 locates the bit.

Single-bit errors in less than 2^31 bits have distinct differences, so that the bit is found without further redundancy.
Larger damage is mistaken for a single bit with a probability of 2^-32 for each bit of the data.
"""

import zlib


def _step_table() -> list[int]:
    table = []
    for n in range(256):
        value = n
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _step_table()
_BY_TOP = {value >> 24: number for number, value in enumerate(_TABLE)}
_SINGLE = {_TABLE[1 << bit]: bit for bit in range(8)}
MAX_MENDED_BYTES = 1 << 26


def mended(data: bytes, stored: int, start: int = 0) -> bytes | None:
    """Flip the one bit that makes the data's CRC-32, seeded by ``start``, the stored one; None if there is none.

    If the wrong bit is in the stored checksum itself, the data is returned unchanged.
    """
    difference = zlib.crc32(data, start) ^ stored
    if not difference & difference - 1:
        return data
    if len(data) > MAX_MENDED_BYTES:
        return None
    for place in range(len(data) - 1, -1, -1):
        bit = _SINGLE.get(difference)
        if bit is not None:
            found = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            return found if zlib.crc32(found, start) == stored else None
        number = _BY_TOP[difference >> 24]
        difference = (difference ^ _TABLE[number]) << 8 & 0xFFFFFFFF | number
    return None
