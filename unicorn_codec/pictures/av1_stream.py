"""Headers of AV1 streams, and all checks that precede decoding.

A stream is a series of open bitstream units (OBUs), each preceded by its size. Rules: ``format_spec/uni-1.md``, "AVIF
codes"; fields: AV1 specification, sections 5.3 and 5.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from unicorn_codec.errors import InvalidField

TEMPORAL_DELIMITER = b"\x12\x00"
"""Empty temporal delimiter OBU, which some encoders write before a picture."""

_SEQUENCE_HEADER, _FRAME, _FRAME_HEADER = 0x0A, 0x32, 0x1A
"""OBU header bytes: type, no extension, a size follows. A frame header alone shows a previously hidden frame."""

_SIZE_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """Picture format in a stream's sequence header.

    Args:
        profile: 0 has 4:2:0 chroma, 1 has 4:4:4.
        level: ``seq_level_idx`` of the sequence header.
        tier: ``seq_tier``.
    """

    profile: int
    level: int
    tier: int = 0
    width: int
    height: int


def read_still(stream: bytes) -> PictureFormat:
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
    width, height = _size(bits)
    bits.take(6)  # coding tools
    if profile > 1 or not (still and reduced) or not _is_usual_colour(bits, profile):
        raise InvalidField("an AV1 stream that is not an 8-bit colour still picture, in 4:2:0 or 4:4:4")
    return PictureFormat(profile=profile, level=level, width=width, height=height)


def read_first(unit: bytes) -> PictureFormat:
    """Check that a temporal unit begins a sequence of 8-bit colour pictures, and read their size.

    Raises:
        InvalidField: it is not a sequence header, of one operating point without timing, and frames.
    """
    units = list(_units(unit))
    kinds = [kind for kind, _ in units]
    if kinds[:2] != [_SEQUENCE_HEADER, _FRAME] or not set(kinds[1:]) <= {_FRAME, _FRAME_HEADER}:
        raise InvalidField("a first unit of an AV1 sequence that is not a sequence header and frames")
    bits = _Bits(units[0][1])
    profile, still_reduced_timing_delay, more_points = bits.take(3), bits.take(4), bits.take(5)
    bits.take(12)  # operating point
    level = bits.take(5)
    tier = bits.take(1) if level > 7 else 0
    width, height = _size(bits)
    numbered = bits.take(1)
    _skip_tools(bits)
    if profile > 1 or still_reduced_timing_delay or more_points or numbered or not _is_usual_colour(bits, profile):
        raise InvalidField("an AV1 sequence that is not of plain 8-bit colour pictures, in 4:2:0 or 4:4:4")
    return PictureFormat(profile=profile, level=level, tier=tier, width=width, height=height)


def check_later(unit: bytes) -> None:
    """Check that a temporal unit continues a sequence. Raises ``InvalidField`` if it does not consist of frames."""
    kinds = [kind for kind, _ in _units(unit)]
    if not kinds or not set(kinds) <= {_FRAME, _FRAME_HEADER}:
        raise InvalidField("a later unit of an AV1 sequence that is not frames alone")


def _size(bits: "_Bits") -> tuple[int, int]:
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_tools(bits: "_Bits") -> None:
    """Skip the coding tools in a sequence header that is not reduced."""
    bits.take(3 + 4)
    ordered = bits.take(1)
    bits.take(2 * ordered)
    chooses_screen_content = bits.take(1)
    screen_content = 2 if chooses_screen_content else bits.take(1)
    if screen_content and not bits.take(1):
        bits.take(1)
    bits.take(3 * ordered)
    bits.take(3)


def _is_usual_colour(bits: "_Bits", profile: int) -> bool:
    """Return whether pictures have 8 bits and colour."""
    wide, monochrome = bits.take(1), profile == 0 and bits.take(1)
    return not (wide or monochrome)


def _units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield header byte and content of each OBU."""
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
    """Reader of unsigned numbers, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:32], "big"), 8 * len(data[:32])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise InvalidField("an AV1 stream with too short a sequence header")
        return self._value >> self._left & ((1 << count) - 1)
