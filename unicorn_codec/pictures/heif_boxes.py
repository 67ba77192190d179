"""Boxes of a HEIF file (AVIF, HEIC): the number of pictures, and the primary one's colour space.

Nothing is decoded. Damaged and unknown boxes are skipped; the decoder reports damage.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_ITEMS = 1 << 16

_PICTURE_TYPES = frozenset((b"av01", b"hvc1", b"hvc2", b"grid", b"iovl", b"iden", b"jpeg", b"unci", b"avc1", b"j2k1"))
_HIDDEN = 1


@dataclass(slots=True)
class HeifFile:
    """Content of the ``meta`` box.

    Args:
        primary: identifier of the primary picture.
        types: of items, by identifier; hidden ones are left out.
        parts: items that others are composed of, such as tiles.
        helpers: thumbnails, and auxiliary items such as alpha and gain maps.
        tone_mapped: whether a gain map turns the primary picture into one of high dynamic range.
        nclx: H.273's numbers of the primary picture's primaries and transfer function.
    """

    primary: int = 0
    types: dict[int, bytes] = field(default_factory=dict)
    parts: set[int] = field(default_factory=set)
    helpers: set[int] = field(default_factory=set)
    tone_mapped: bool = False
    nclx: tuple[int, int] | None = None

    @property
    def pictures(self) -> int:
        """Number of independent pictures."""
        alone = set(self.types) - self.parts - self.helpers | {self.primary}
        return len(alone)


def parse_heif(data: bytes) -> HeifFile:
    """Read a file's ``meta`` box, as far as it is intact."""
    found = HeifFile()
    meta = next((body for kind, body in boxes(data) if kind == b"meta"), b"")
    inner = dict(reversed(list(boxes(meta[4:]))))
    try:
        found.primary = _number(inner.get(b"pitm", b""))
        _take_items(found, inner.get(b"iinf", b""))
        _take_references(found, inner.get(b"iref", b""))
        found.nclx = _nclx(found.primary, inner.get(b"iprp", b""))
    except (struct.error, IndexError):
        pass
    return found


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each box, up to the first invalid size."""
    at = 0
    while at + 8 <= len(data):
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = len(data) if size == 0 else at + size
        if end < start or end > len(data):
            return
        yield kind, data[start:end]
        at = end


def _number(full_box: bytes) -> int:
    """Return an identifier after version and flags: 2 bytes, or 4 from version 1 on."""
    return int.from_bytes(full_box[4 : 8 if full_box[:1] > b"\0" else 6], "big")


def _take_items(found: HeifFile, iinf: bytes) -> None:
    body = iinf[6 if iinf[:1] == b"\0" else 8 :]
    for count, (kind, infe) in enumerate(boxes(body)):
        if kind != b"infe" or infe[0] < 2 or count >= MAX_ITEMS:
            continue
        wide = infe[0] >= 3
        identifier = int.from_bytes(infe[4 : 8 if wide else 6], "big")
        item_type = infe[10:14] if wide else infe[8:12]
        found.tone_mapped |= item_type == b"tmap"
        if item_type in _PICTURE_TYPES and not infe[3] & _HIDDEN:
            found.types[identifier] = item_type


def _take_references(found: HeifFile, iref: bytes) -> None:
    wide = iref[:1] == b"\1"
    size, form = (4, ">I") if wide else (2, ">H")
    for kind, body in boxes(iref[4:]):
        source = struct.unpack_from(form, body)[0]
        count = struct.unpack_from(">H", body, size)[0]
        targets = [struct.unpack_from(form, body, size + 2 + size * n)[0] for n in range(count)]
        if kind == b"dimg":
            found.parts.update(targets)
        elif kind in (b"thmb", b"auxl"):
            found.helpers.add(source)


def _nclx(primary: int, iprp: bytes) -> tuple[int, int] | None:
    inner = dict(reversed(list(boxes(iprp))))
    properties = list(boxes(inner.get(b"ipco", b"")))
    for number in _properties_of(primary, inner.get(b"ipma", b"")):
        if 1 <= number <= len(properties):
            kind, body = properties[number - 1]
            if kind == b"colr" and body[:4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", body, 4)
                return primaries, transfer
    return None


def _properties_of(item: int, ipma: bytes) -> list[int]:
    """Return the numbers of an item's properties, counted from 1."""
    if len(ipma) < 8:
        return []
    wide_item, wide_number = ipma[0] >= 1, bool(ipma[3] & 1)
    at = 8
    for _ in range(min(int.from_bytes(ipma[4:8], "big"), MAX_ITEMS)):
        identifier = int.from_bytes(ipma[at : at + (4 if wide_item else 2)], "big")
        at += 4 if wide_item else 2
        count, at = ipma[at], at + 1
        step = 2 if wide_number else 1
        numbers = [int.from_bytes(ipma[at + step * n : at + step * (n + 1)], "big") for n in range(count)]
        at += step * count
        if identifier == item:
            return [number & (0x7FFF if wide_number else 0x7F) for number in numbers]
    return []
