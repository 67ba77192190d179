"""Columns of small integers: bit width, lowest value, and bit-packed differences from it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import Fields, check, varint
from unicorn_codec.format.limits import MAX_COLUMN_BITS

Integers = NDArray[np.int64]


def pack_bits(values: Integers, bits: int) -> bytes:
    """Write values of 0 to 2^bits - 1, most significant bit first, without gaps; zero bits after the last."""
    if not bits:
        return b""
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((values[:, None] >> shifts & 1).astype(np.uint8)).tobytes()


def unpack_bits(data: bytes, bits: int, count: int) -> Integers:
    """Invert ``pack_bits``: return (count,). Raise ``InvalidField`` if a bit after the last value is set."""
    if not bits:
        return np.zeros(count, np.int64)
    flat = np.unpackbits(np.frombuffer(data, np.uint8))
    if flat[count * bits :].any():
        raise InvalidField("bit-packed values: the bits after the last one must be zero")
    weights = np.int64(1) << np.arange(bits - 1, -1, -1)
    return flat[: count * bits].reshape(count, bits).astype(np.int64) @ weights


def column(values: Sequence[int] | Integers) -> bytes:
    """Write a column of one or more values: bit width (u8), lowest value (LEB128), differences from it."""
    array = np.asarray(values, np.int64)
    lowest = int(array.min())
    check(lowest >= 0, f"a column holds no negative numbers such as {lowest}")
    bits = (int(array.max()) - lowest).bit_length()
    check(bits <= MAX_COLUMN_BITS, f"a column of {bits} bits, at most {MAX_COLUMN_BITS} are allowed")
    return bytes([bits]) + varint(lowest) + pack_bits(array - lowest, bits)


def take_column(fields: Fields, count: int, limit: int, what: str) -> Integers:
    """Read a column of ``count`` values, each at most ``limit``: (count,). Raise ``InvalidField`` if it is invalid.

    The encoding is canonical: the lowest value occurs, and the bit width is minimal.
    """
    (bits,) = fields.numbers("B")
    if bits > MAX_COLUMN_BITS:
        raise InvalidField(f"{what}: a column of {bits} bits, at most {MAX_COLUMN_BITS} are allowed")
    lowest = fields.varint(limit, what)
    above = unpack_bits(fields.take(-(-count * bits // 8)), bits, count)
    highest = int(above.max())
    if int(above.min()) or highest.bit_length() != bits:
        raise InvalidField(f"{what}: a column that could be written in fewer bits")
    if lowest + highest > limit:
        raise InvalidField(f"{what} is {lowest + highest}, at most {limit} are allowed")
    return above + lowest
