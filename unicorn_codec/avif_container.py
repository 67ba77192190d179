"""AVIF files <-> the AV1 stream of their one still picture, and every check before a decoder gets either.

The container (about 275 bytes a picture) says hardly anything that the stream does not say itself; at thumbnail
sizes it is a third of the file. Layouts and rules: ``format_spec/uni-1.md``, "Classic codes".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from unicorn_codec.errors import InvalidField

TEMPORAL_DELIMITER = b"\x12\x00"
"""What stands before a picture in AVIF files, and says nothing."""

_SEQUENCE_HEADER, _FRAME = 0x0A, 0x32
"""First bytes of the two units of a stream: kind, no extension, a size follows."""

_SIZE_BYTES = 8
_ITEM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StillPicture:
    """What a stream says of its picture (AV1 specification, section 5.5).

    Args:
        profile: 0 has 4:2:0 chroma, 1 has 4:4:4.
        level: ``seq_level_idx`` of the sequence header.
    """

    profile: int
    level: int
    width: int
    height: int


def read_stream(stream: bytes) -> StillPicture:
    """Check that a stream is one 8-bit colour still picture and nothing else, and read its size.

    Raises:
        InvalidField: it is not a sequence header, reduced as still pictures have it, and one frame.
    """
    units = list(_units(stream))
    if [kind for kind, _ in units] != [_SEQUENCE_HEADER, _FRAME]:
        raise InvalidField("an AV1 stream that is not one sequence header and one frame")
    bits = _Bits(units[0][1])
    profile, still, reduced = bits.take(3), bits.take(1), bits.take(1)
    level = bits.take(5)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    bits.take(6)  # which tools the frame uses
    wide, monochrome = bits.take(1), profile == 0 and bits.take(1)
    if profile > 1 or not (still and reduced) or wide or monochrome:
        raise InvalidField("an AV1 stream that is not an 8-bit colour still picture, in 4:2:0 or 4:4:4")
    return StillPicture(profile=profile, level=level, width=width, height=height)


def take_stream(avif: bytes) -> bytes:
    """The stream of an AVIF file.

    Raises:
        InvalidField: the file holds other than one item, with all of its data behind the description, or the
            stream is not one that ``read_stream`` takes.
    """
    boxes = list(_boxes(avif))
    if [kind for kind, _ in boxes] != [b"ftyp", b"meta", b"mdat"]:
        raise InvalidField("an AVIF file that is not a type, a description and data")
    description, data = boxes[1][1], boxes[2][1]
    places = [content for kind, content in _boxes(description[4:]) if kind == b"iloc"]
    # Nothing else in the file may reach a decoder: it takes memory by what the stream says.
    if places != [_location(len(avif) - len(data), len(data))]:
        raise InvalidField("an AVIF file of other than one item, which is all of its data")
    stream = data.removeprefix(TEMPORAL_DELIMITER)
    read_stream(stream)
    return stream


def wrap_stream(stream: bytes) -> bytes:
    """The smallest AVIF file around a stream. Raises ``InvalidField`` as ``read_stream``."""
    picture = read_stream(stream)
    start = len(_container(picture, 0, len(stream)))
    return _container(picture, start, len(stream)) + stream


def _units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """First byte and content of each open bitstream unit; all have their size in front."""
    at = 0
    while at < len(stream):
        kind, size, at = stream[at], 0, at + 1
        for place in range(_SIZE_BYTES):
            if at == len(stream):
                raise InvalidField("an AV1 stream that ends within the size of a unit")
            byte, at = stream[at], at + 1
            size |= (byte & 127) << 7 * place
            if byte < 128:
                break
        else:
            raise InvalidField(f"an AV1 stream with a size of more than {_SIZE_BYTES} bytes")
        if size > len(stream) - at:
            raise InvalidField(f"an AV1 stream with a unit of {size} bytes, {len(stream) - at} are left")
        yield kind, stream[at : at + size]
        at += size


class _Bits:
    """Unsigned numbers from the most significant bit on."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:32], "big"), 8 * len(data[:32])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise InvalidField("an AV1 stream with too short a sequence header")
        return self._value >> self._left & ((1 << count) - 1)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        if not 8 <= size <= len(data) - at:
            raise InvalidField(f"an AVIF file with a box of {size} bytes at byte {at}")
        yield kind, data[at + 8 : at + size]
        at += size


def _container(picture: StillPicture, start: int, length: int) -> bytes:
    """Everything in front of the stream, which begins at ``start``."""
    subsampled = 0x0C if picture.profile == 0 else 0
    properties = _box(
        b"ipco",
        _full_box(b"ispe", struct.pack(">II", picture.width, picture.height)),
        _full_box(b"pixi", bytes([3, 8, 8, 8])),
        _box(b"av1C", bytes([0x81, picture.profile << 5 | picture.level, subsampled, 0])),
    )
    item = _full_box(b"infe", struct.pack(">HH4sx", _ITEM, 0, b"av01"), version=2)
    meta = _full_box(
        b"meta",
        _full_box(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
        _full_box(b"pitm", struct.pack(">H", _ITEM)),
        _box(b"iloc", _location(start, length)),
        _full_box(b"iinf", struct.pack(">H", 1), item),
        _box(b"iprp", properties, _full_box(b"ipma", struct.pack(">IHB3B", 1, _ITEM, 3, 1, 2, 0x83))),
    )
    brands = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    return brands + meta + struct.pack(">I4s", 8 + length, b"mdat")


def _location(start: int, length: int) -> bytes:
    """Content of ``iloc``: one item, in one piece."""
    return struct.pack(">IHHHHHII", 0, 0x4400, 1, _ITEM, 0, 1, start, length)


def _box(kind: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _full_box(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), *content)
