"""Integer codes <-> bits without gaps."""

from collections.abc import Iterator

import numpy as np
from bitstring import Array
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import check

MAX_CODE_BITS = 32
# Bounds the number of live Python integers; a multiple of 8, so that every chunk but the last ends on a byte.
_CODES_PER_CHUNK = 1 << 16


def pack_codes(codes: NDArray[np.unsignedinteger], bits: int) -> bytes:
    """Write (n,) unsigned codes with ``bits`` bits each, most significant bit first, zero bits after the last.

    Raises ``InvalidSetting`` for a code that does not fit.
    """
    check(0 <= bits <= MAX_CODE_BITS, f"bits per code are 0 to {MAX_CODE_BITS}, not {bits}")
    largest = int(codes.max(initial=0))
    check(largest < 1 << bits, f"the code {largest} does not fit {bits} bits")
    if bits == 0:
        return b""
    return b"".join(Array(f"uint{bits}", chunk.tolist()).to_bytes() for chunk in _chunks(codes))


def _chunks(codes: NDArray[np.unsignedinteger]) -> Iterator[NDArray[np.unsignedinteger]]:
    for start in range(0, codes.size, _CODES_PER_CHUNK):
        yield codes[start : start + _CODES_PER_CHUNK]


def unpack_codes(data: bytes, bits: int, count: int) -> NDArray[np.uint32]:
    """Invert ``pack_codes``. Return (count,) uint32, read-only and without memory of its own if ``bits`` is 0.

    Raises ``InvalidField`` when the length is not that of ``count`` codes or a bit after the last one is set.
    """
    wanted = -(-count * bits // 8)
    if len(data) != wanted:
        raise InvalidField(f"bit-packed codes: {len(data)} bytes; {count} codes of {bits} bits take {wanted}")
    if bits == 0:
        return np.broadcast_to(np.uint32(0), (count,))
    padding = 8 * wanted - count * bits
    if padding and data[-1] & ((1 << padding) - 1):
        raise InvalidField(f"bit-packed codes: the {padding} bits after the last code must be zero")
    codes = np.empty(count, dtype=np.uint32)
    for start in range(0, count, _CODES_PER_CHUNK):
        chunk = codes[start : start + _CODES_PER_CHUNK]
        first = start * bits // 8
        packed = data[first : first + -(-chunk.size * bits // 8)]
        # The padding may decode to further narrow codes: drop them.
        chunk[:] = Array.from_bytes(f"uint{bits}", packed).to_list()[: chunk.size]
    return codes
