"""Integer codes <-> bits without gaps, and bytes <-> "packed bytes" (zstd where that is smaller)."""

import struct
from collections.abc import Iterator

import numpy as np
import zstandard
from bitstring import Array
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.header import check

MAX_CODE_BITS = 32
MAX_EXPANSION = 1024
"""Packed bytes may grow by this factor at most, so a small file cannot claim a large memory."""

STORED, ZSTD = 0, 1
_PACKED_HEAD = struct.Struct("<BQ")
_ZSTD_LEVEL = 19
# Bounds the Python integers alive at a time; a multiple of 8, so that every chunk but the last ends on a byte.
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
    """Read what ``pack_codes`` wrote: (count,) uint32, read-only where ``bits`` is 0 (it then takes no memory).

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
        # Padding of narrow codes looks like more codes: cut them off.
        chunk[:] = Array.from_bytes(f"uint{bits}", packed).to_list()[: chunk.size]
    return codes


def compress(raw: bytes) -> bytes:
    """Write bytes as packed bytes: method, raw length, then the bytes as they are or a zstd frame if shorter."""
    frame = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(raw)
    if len(frame) < len(raw) <= MAX_EXPANSION * len(frame):
        return _PACKED_HEAD.pack(ZSTD, len(raw)) + frame
    return _PACKED_HEAD.pack(STORED, len(raw)) + raw


def decompress(data: bytes, raw_length_limit: int) -> bytes:
    """Read what ``compress`` wrote.

    Raises ``InvalidField`` for everything else; the raw length is held against the limit and the bytes that are
    really there before anything is allocated.
    """
    if len(data) < _PACKED_HEAD.size:
        raise InvalidField(f"packed bytes: {len(data)} bytes, at least {_PACKED_HEAD.size} are needed")
    method, raw_length = _PACKED_HEAD.unpack_from(data)
    stored = data[_PACKED_HEAD.size :]
    if raw_length > raw_length_limit:
        raise InvalidField(f"packed bytes: raw length {raw_length}, at most {raw_length_limit} are allowed here")
    if method == STORED:
        if raw_length != len(stored):
            raise InvalidField(f"packed bytes: raw length {raw_length}, but {len(stored)} bytes are stored")
        return stored
    if method == ZSTD:
        return _decompress_frame(stored, raw_length)
    raise InvalidField(f"packed bytes: method {method}, known are {STORED} (stored) and {ZSTD} (zstd)")


def _decompress_frame(frame: bytes, raw_length: int) -> bytes:
    if not len(frame) < raw_length <= MAX_EXPANSION * len(frame):
        raise InvalidField(
            f"packed bytes: raw length {raw_length} from {len(frame)} bytes; a zstd frame must be shorter than its raw "
            f"bytes, by a factor of {MAX_EXPANSION} at most"
        )
    try:
        content_size = zstandard.get_frame_parameters(frame).content_size
        if content_size != raw_length:
            raise InvalidField(f"packed bytes: raw length {raw_length}, but the zstd frame says {content_size}")
        return zstandard.ZstdDecompressor().decompress(frame, read_across_frames=False, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise InvalidField(f"packed bytes: not exactly one valid zstd frame ({error})") from error
