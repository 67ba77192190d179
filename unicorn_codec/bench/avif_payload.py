"""AVIF files without their container: the AV1 stream alone, and the smallest container around it again.

The container (about 275 bytes a picture) says hardly anything that the stream does not say itself; at thumbnail
sizes it is a third of the file. Taking it off shows what AV1 can do where a format stores many pictures in one file.
"""

import struct
from collections.abc import Iterator

SEQUENCE_HEADER = 1
HAS_SIZE = 0x02
HAS_EXTENSION = 0x04


def take_payload(avif: bytes) -> bytes:
    """Return the item data (``mdat``) of an AVIF file that holds one still picture.

    Raises:
        ValueError: there is no such box.
    """
    for kind, content in _boxes(avif):
        if kind == b"mdat":
            return content
    raise ValueError("an AVIF file without item data")


def wrap_payload(payload: bytes) -> bytes:
    """Put a container around an 8-bit 4:2:0 AV1 still picture; its size is read from the stream."""
    width, height = picture_size(payload)
    start = len(_container(width, height, 0, len(payload)))
    return _container(width, height, start, len(payload)) + payload


def picture_size(payload: bytes) -> tuple[int, int]:
    """Width and height from the sequence header of a still picture (AV1 specification, section 5.5).

    Raises:
        ValueError: the stream has no reduced still-picture header.
    """
    bits = _Bits(_sequence_header(payload))
    bits.take(3)  # profile
    if bits.take(2) != 0b11:
        raise ValueError("not a still picture with a reduced header")
    bits.take(5)  # level
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


class _Bits:
    """Unsigned numbers from the most significant bit on."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)


def _sequence_header(payload: bytes) -> bytes:
    """Content of the first open bitstream unit that is a sequence header."""
    at = 0
    while at < len(payload):
        kind, has_size = payload[at] >> 3 & 15, payload[at] & HAS_SIZE
        at += 2 if payload[at] & HAS_EXTENSION else 1
        size, shift = 0, 0
        while has_size:
            size |= (payload[at] & 127) << shift
            has_size, shift, at = payload[at] & 128, shift + 7, at + 1
        if kind == SEQUENCE_HEADER:
            return payload[at : at + size]
        at += size
    raise ValueError("an AV1 stream without a sequence header")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box at the top of a file."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + size if size else len(data)  # 0: to the end of the file
        if end < at + 8:
            raise ValueError("a box of an unknown size")
        yield kind, data[at + 8 : end]
        at = end


def _container(width: int, height: int, start: int, length: int) -> bytes:
    """Everything in front of the payload, which begins at ``start``."""
    properties = _box(
        b"ipco",
        _full_box(b"ispe", struct.pack(">II", width, height)),
        _full_box(b"pixi", bytes([3, 8, 8, 8])),
        _box(b"av1C", bytes([0x81, 0x00, 0x0C, 0x00])),  # version 1, main profile, 8-bit 4:2:0
    )
    meta = _full_box(
        b"meta",
        _full_box(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
        _full_box(b"pitm", struct.pack(">H", 1)),
        _full_box(b"iloc", struct.pack(">HHHHHII", 0x4400, 1, 1, 0, 1, start, length)),
        _full_box(b"iinf", struct.pack(">H", 1), _full_box(b"infe", struct.pack(">HH4sx", 1, 0, b"av01"), version=2)),
        _box(b"iprp", properties, _full_box(b"ipma", struct.pack(">IHB3B", 1, 1, 3, 1, 2, 0x83))),
    )
    brands = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    return brands + meta + struct.pack(">I4s", 8 + length, b"mdat")


def _box(kind: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _full_box(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), *content)
