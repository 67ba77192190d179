"""Markers of a JPEG file: the end of the picture, its scans, and whether these are complete."""

import re
import struct
from dataclasses import dataclass, field

END = b"\xff\xd9"

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
"""Marker that ends entropy-coded data: 0xFF before anything but a stuffed zero and a restart marker."""

STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_SCAN, _END, _START = 0xDA, 0xD9, 0xD8


@dataclass(slots=True)
class JpegFile:
    """Content of the markers.

    Args:
        frame: number of the frame's marker (SOFn), None without one.
        precision: bits per sample.
        components: identifiers, in order.
        end: offset after the picture; the file's length if the end marker is missing.
        has_end: whether the end marker is present.
        refined: coefficients (component, number) whose last bit some scan contains.
    """

    frame: int | None = None
    precision: int = 8
    width: int = 0
    height: int = 0
    components: list[int] = field(default_factory=list)
    end: int = 0
    has_end: bool = False
    refined: set[tuple[int, int]] = field(default_factory=set)

    @property
    def is_progressive(self) -> bool:
        return self.frame in _PROGRESSIVE

    @property
    def lacks_scans(self) -> bool:
        """Whether a progressive picture ends before the last bits of all coefficients."""
        return self.is_progressive and any((one, k) not in self.refined for one in self.components for k in range(64))


def parse_jpeg(data: bytes) -> JpegFile:
    """Parse the markers from start to end of the picture; stop at the first invalid one."""
    found, at = JpegFile(end=len(data)), 2
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind == _END:
            found.end, found.has_end = at, True
            break
        if kind in STANDALONE or kind == _START:
            continue
        size = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + size]
        if kind in FRAMES and len(body) >= 6 and found.frame is None:
            found.frame = kind
            found.precision, found.height, found.width, count = struct.unpack(">BHHB", body[:6])
            found.components = list(body[6 : 6 + 3 * count : 3])
        elif kind == _SCAN:
            _take_scan(found, body)
        at += size
    return found


def _take_scan(found: JpegFile, body: bytes) -> None:
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return
    first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
    if approximation & 15 == 0:
        found.refined |= {(one, k) for one in body[1 : 1 + 2 * count : 2] for k in range(first, min(last, 63) + 1)}
