"""Mending single flipped bits by their checksum: the difference of a CRC-32 says which bit it was.

No two single bits of less than 2^31 make the same difference, so that one flipped bit is found without any stored
redundancy. What more damage did looks like a single bit only by chance, one in 2^32 for each bit of the data.
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
    """The data with one bit turned over so that its CRC-32, begun with ``start``, is the stored one; None if none is.

    Where one bit of the stored checksum itself is wrong, the data comes back as it is.
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
