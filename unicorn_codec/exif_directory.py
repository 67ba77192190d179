"""The directories of EXIF, as TIFF lays them out: read, and edited in place so that maker notes keep their offsets.

EXIF comes from files that nobody vouches for. Every offset and number is checked before it is used, no directory is
visited twice, and whatever does not fit is a ``BadExif``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"

MAX_ENTRIES = 1024
"""Of one directory; cameras write a few dozen."""

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by type."""

_SHORT, _LONG = 3, 4
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
_PLACES = (0x0111, 0x0144)
"""Tags of the offsets of strips and tiles."""

_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)


class BadExif(Exception):
    """The bytes are no EXIF, or damaged."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory.

    Args:
        at: offset of its 12 bytes.
        tag, type, count: as stored; the type is known.
        value_at: offset of its value, which lies in the data.
        length: bytes of the value.
    """

    at: int
    tag: int
    type: int
    count: int
    value_at: int
    length: int


class ExifData:
    """EXIF from its byte order mark on. Raises ``BadExif`` if it is none, or its first directory is broken.

    Attributes:
        data: the bytes, which the methods below change.
        order: ``<`` or ``>`` for the ``struct`` module.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data.removeprefix(PREFIX))
        mark = bytes(self.data[:4])
        if mark not in (b"II*\0", b"MM\0*"):
            raise BadExif("no byte order mark")
        self.order = "<" if mark[:1] == b"I" else ">"
        self.first = self.number("I", 4)
        self.entries(self.first)

    def number(self, letter: str, at: int) -> int:
        """Return an unsigned number by its letter of the ``struct`` module."""
        try:
            (value,) = struct.unpack_from(self.order + letter, self.data, at)
        except struct.error as error:
            raise BadExif(f"an offset of {at} in {len(self.data)} bytes") from error
        return int(value)

    def entries(self, directory: int) -> list[Entry]:
        """Return the entries of the directory at an offset; those of an unknown type are left out."""
        count = self.number("H", directory)
        if directory < 8 or count > MAX_ENTRIES or directory + 2 + 12 * count > len(self.data):
            raise BadExif(f"a directory of {count} entries at byte {directory}")
        return list(self._entries(directory, count))

    def _entries(self, directory: int, count: int) -> Iterator[Entry]:
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(self.order + "HHI", self.data, at)
            length = _UNITS.get(kind, 0) * number
            value_at = at + 8 if length <= 4 else self.number("I", at + 8)
            if kind not in _UNITS:
                continue
            if value_at + length > len(self.data):
                raise BadExif(f"the value of tag 0x{tag:04x} lies outside")
            yield Entry(at, tag, kind, number, value_at, length)

    def directories(self) -> dict[int, list[Entry]]:
        """Return the entries of the first directory (under 0) and of those that it leads to, by their tags."""
        found = {0: self.entries(self.first)}
        for above, tag in ((0, EXIF_IFD), (0, GPS_IFD), (EXIF_IFD, INTEROP_IFD)):
            if (place := self._place(found.get(above, []), tag)) is not None:
                found[tag] = self.entries(place)
        return found

    def _place(self, entries: list[Entry], tag: int) -> int | None:
        """Return the offset of the directory that an entry leads to."""
        pointers = (one for one in entries if one.tag == tag and one.count == 1 and one.length == 4)
        return next((self.number("I", one.value_at) for one in pointers), None)

    def value(self, entry: Entry) -> bytes:
        """Return the bytes of a value."""
        return bytes(self.data[entry.value_at : entry.value_at + entry.length])

    def numbers(self, entry: Entry) -> list[int | float]:
        """Return the numbers of a value; a fraction over zero is 0."""
        value, order = self.value(entry), self.order
        if entry.type in (5, 10):
            parts = struct.unpack(f"{order}{2 * entry.count}{'I' if entry.type == 5 else 'i'}", value)
            return [a / b if b else 0.0 for a, b in zip(parts[::2], parts[1::2], strict=True)]
        letter = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}.get(entry.type, "B")
        return list(struct.unpack(f"{order}{entry.count}{letter}", value))

    def set_number(self, entry: Entry, value: int) -> None:
        """Set a value that is one SHORT or LONG; others, and values that do not fit, stay."""
        if entry.count == 1 and entry.type in (_SHORT, _LONG) and value < 1 << 8 * _UNITS[entry.type]:
            struct.pack_into(self.order + ("H" if entry.type == _SHORT else "I"), self.data, entry.value_at, value)

    def remove(self, directory: int, tag: int) -> None:
        """Remove the entries of a tag from the directory at an offset; no other value moves."""
        for entry in reversed([one for one in self.entries(directory) if one.tag == tag]):
            count = self.number("H", directory)
            end = directory + 2 + 12 * count + 4
            self.data[entry.at : end] = self.data[entry.at + 12 : end] + bytes(12)
            struct.pack_into(self.order + "H", self.data, directory, count - 1)

    def clear(self, directory: int) -> None:
        """Overwrite the directory at an offset, and its values, with zeros."""
        for entry in self.entries(directory):
            self._zero(entry.value_at, entry.length)
        self._zero(directory, 2 + 12 * self.number("H", directory) + 4)

    def _zero(self, at: int, length: int) -> None:
        part = slice(at, min(at + length, len(self.data)))
        self.data[part] = bytes(len(self.data[part]))

    def drop_thumbnail(self) -> None:
        """Unlink and overwrite the second directory and its picture; cut them off where they end the data."""
        link = self.first + 2 + 12 * self.number("H", self.first)
        second = self.number("I", link) if link + 4 <= len(self.data) else 0
        if not second:
            return
        struct.pack_into(self.order + "I", self.data, link, 0)
        try:
            values = {one.tag: self.number("I", one.value_at) for one in self.entries(second) if one.length == 4}
            at, length = values.get(_THUMBNAIL, 0), values.get(_THUMBNAIL_BYTES, 0)
            self.clear(second)
        except BadExif:  # what a broken one points to is unknown; without the link nobody reads it
            return
        if at >= 8:
            self._zero(at, length)
            if at + length >= len(self.data) - 3:
                del self.data[at:]


def normalised_exif(data: bytes, width: int, height: int, *, keep_gps: bool = True) -> bytes:
    """Return EXIF for the upright pixels of a picture: orientation 1, these dimensions, no thumbnail.

    Everything else stays byte for byte where it is. Without ``keep_gps`` the place is overwritten.

    Raises:
        BadExif: it is damaged, or none.
    """
    exif = ExifData(data)
    exif.drop_thumbnail()
    if not keep_gps:
        place = exif._place(exif.entries(exif.first), GPS_IFD)
        exif.remove(exif.first, GPS_IFD)
        if place is not None:
            exif.clear(place)
    found = exif.directories()
    for entry in (*found[0], *found.get(EXIF_IFD, [])):
        if entry.tag == ORIENTATION:
            exif.set_number(entry, 1)
        elif entry.tag in _WIDTHS:
            exif.set_number(entry, width)
        elif entry.tag in _HEIGHTS:
            exif.set_number(entry, height)
    edited = ExifData(bytes(exif.data))  # overlapping values could have been overwritten
    found = edited.directories()
    upright = [edited.numbers(one) for one in found[0] if one.tag == ORIENTATION]
    if any(value != [1] for value in upright) or (GPS_IFD in found and not keep_gps):
        raise BadExif("values that overlap")
    return bytes(edited.data)


def without_orientation(data: bytes) -> bytes:
    """Return EXIF without an orientation, in which nothing else moves; what is no EXIF as it is.

    Pillow writes EXIF with an orientation anew for AVIF, where maker notes lose what they point to.
    """
    try:
        exif = ExifData(data)
        exif.remove(exif.first, ORIENTATION)
    except BadExif:
        return data
    return bytes(exif.data)


def tiff_with_exif(tiff: bytes, exif: bytes) -> bytes:
    """Return a TIFF file to which EXIF was added.

    EXIF comes first and keeps its offsets, which maker notes count from the beginning of the file. The given file
    follows, and then a directory with the entries of both. Where both have one, the file's own counts.

    Args:
        tiff: of one directory, with samples of 8 bits, which no byte order concerns.

    Raises ``BadExif``.
    """
    file, added = ExifData(tiff), ExifData(exif)
    found = added.directories()
    data = added.data + bytes(len(added.data) % 2)
    start = len(data)
    data += tiff + bytes(len(tiff) % 2)
    own = file.entries(file.first)
    taken = {one.tag for one in own} | {_THUMBNAIL, _THUMBNAIL_BYTES}
    kept = [(one.tag, bytes(data[one.at : one.at + 12])) for one in found[0] if one.tag not in taken]
    place = _append_directory(data, added.order, [*_moved(data, start, added.order, file, own), *kept])
    struct.pack_into(added.order + "I", data, 4, place)
    return bytes(data)


def _moved(
    data: bytearray, start: int, order: str, source: ExifData, entries: list[Entry]
) -> Iterator[tuple[int, bytes]]:
    """Append values of a file that begins at ``start``; yield tags and entries that name their new places."""
    for one in entries:
        kind, value = one.type, source.value(one)
        if one.tag in _PLACES:
            kind, value = _LONG, struct.pack(f"{order}{one.count}I", *(start + at for at in source.numbers(one)))
        elif source.order != order:
            value = _swapped(value, 4 if kind in (5, 10) else _UNITS[kind])
        if len(value) > 4:
            place, value = len(data), value + bytes(len(value) % 2)
            data += value
            value = struct.pack(order + "I", place)
        yield one.tag, struct.pack(order + "HHI", one.tag, kind, one.count) + value.ljust(4, b"\0")


def _swapped(value: bytes, unit: int) -> bytes:
    return b"".join(value[at : at + unit][::-1] for at in range(0, len(value), unit))


def _append_directory(data: bytearray, order: str, entries: list[tuple[int, bytes]]) -> int:
    ordered = [entry for _, entry in sorted(entries, key=lambda one: one[0])]
    place = len(data)
    data += struct.pack(order + "H", len(ordered)) + b"".join(ordered) + bytes(4)
    return place
