"""AVIF files <-> their AV1 streams, and all checks that precede decoding.

The container (about 275 bytes per picture) repeats what the stream contains; for thumbnails it is a third of the file.
Layouts and rules: ``format_spec/uni-1.md``, "AVIF codes".
"""

import struct
from collections.abc import Iterator, Sequence

from unicorn_codec.errors import InvalidField
from unicorn_codec.pictures.av1_stream import TEMPORAL_DELIMITER, PictureFormat, check_later, read_first, read_still

_ITEM = 1
_TRACK = 1
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
"""Identity transformation of a track."""


def take_still(avif: bytes) -> bytes:
    """Extract the AV1 stream of an AVIF file.

    Raises:
        InvalidField: the file does not consist of one item whose data follows the description, or ``read_still``
            refuses the stream.
    """
    boxes = list(_boxes(avif))
    if [kind for kind, _ in boxes] != [b"ftyp", b"meta", b"mdat"]:
        raise InvalidField("an AVIF file that is not a type, a description and data")
    description, data = boxes[1][1], boxes[2][1]
    places = [content for kind, content in _boxes(description[4:]) if kind == b"iloc"]
    # Nothing else in the file may reach a decoder, whose memory use depends on the stream.
    if places != [_location(len(avif) - len(data), len(data))]:
        raise InvalidField("an AVIF file of other than one item, which is all of its data")
    stream = data.removeprefix(TEMPORAL_DELIMITER)
    read_still(stream)
    return stream


def wrap_still(stream: bytes) -> bytes:
    """Wrap a stream into a minimal AVIF file. Raises ``InvalidField`` as ``read_still``."""
    picture = read_still(stream)
    start = len(_container(picture, 0, len(stream)))
    return _container(picture, start, len(stream)) + stream


def take_units(avif: bytes) -> list[bytes]:
    """Extract the temporal unit of each picture of an AVIF sequence.

    Raises:
        InvalidField: the data is not one chunk of consecutive samples, or ``wrap_units`` would refuse them.
    """
    top = dict(_boxes(avif))
    table = _inner(top.get(b"moov", b""), b"trak", b"mdia", b"minf", b"stbl")
    sizes, data = table.get(b"stsz", b""), top.get(b"mdat", b"")
    if len(sizes) < 16 or len(sizes) % 4 or sizes[:8] != bytes(8):
        raise InvalidField("an AVIF sequence without the size of each sample")
    lengths = struct.unpack(f">{len(sizes) // 4 - 3}I", sizes[12:])
    if not data or sum(lengths) != len(data):
        raise InvalidField(f"an AVIF sequence of {len(data)} bytes, its samples have {sum(lengths)}")
    units, at = [], 0
    for length in lengths:
        units.append(data[at : at + length].removeprefix(TEMPORAL_DELIMITER))
        at += length
    _check_units(units)
    return units


def wrap_units(units: Sequence[bytes]) -> bytes:
    """Wrap the units of a sequence, at least one, into a minimal AVIF file.

    Raises:
        InvalidField: as ``read_first`` and ``check_later``.
    """
    picture = _check_units(units)
    start = len(_sequence_container(picture, units, 0))
    return _sequence_container(picture, units, start) + b"".join(units)


def _check_units(units: Sequence[bytes]) -> PictureFormat:
    picture = read_first(units[0])
    for unit in units[1:]:
        check_later(unit)
    return picture


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each box."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        if not 8 <= size <= len(data) - at:
            raise InvalidField(f"an AVIF file with a box of {size} bytes at byte {at}")
        yield kind, data[at + 8 : at + size]
        at += size


def _inner(data: bytes, *path: bytes) -> dict[bytes, bytes]:
    """Return the boxes at a path of nested boxes, by type."""
    for kind in path:
        data = dict(_boxes(data)).get(kind, b"")
    return dict(_boxes(data))


def _container(picture: PictureFormat, start: int, length: int) -> bytes:
    """Return the bytes before a stream that begins at ``start``."""
    properties = _box(
        b"ipco",
        _full_box(b"ispe", struct.pack(">II", picture.width, picture.height)),
        _full_box(b"pixi", bytes([3, 8, 8, 8])),
        _configuration(picture),
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


def _sequence_container(picture: PictureFormat, units: Sequence[bytes], start: int) -> bytes:
    """Return the bytes before the units of a sequence, the first of which begins at ``start``."""
    count, data = len(units), sum(map(len, units))
    entry = struct.pack(">6xH16xHHII4xH32xHh", 1, picture.width, picture.height, 72 << 16, 72 << 16, 1, 24, -1)
    table = _box(
        b"stbl",
        _full_box(b"stsd", struct.pack(">I", 1), _box(b"av01", entry, _configuration(picture))),
        _full_box(b"stts", struct.pack(">III", 1, count, 1)),
        _full_box(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full_box(b"stsz", struct.pack(f">II{count}I", 0, count, *map(len, units))),
        _full_box(b"stco", struct.pack(">II", 1, start)),
        _full_box(b"stss", struct.pack(">II", 1, 1)),
    )
    here = _full_box(b"dref", struct.pack(">I", 1), _full_box(b"url ", flags=1))
    media = _box(
        b"mdia",
        _full_box(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1, count, 0x55C4, 0)),
        _full_box(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
        _box(b"minf", _full_box(b"vmhd", bytes(8), flags=1), _box(b"dinf", here), table),
    )
    shown = struct.pack(">III4xI16x36sII", 0, 0, _TRACK, count, _MATRIX, picture.width << 16, picture.height << 16)
    movie = struct.pack(">IIIIIH10x36s24xI", 0, 0, 1, count, 0x10000, 0x100, _MATRIX, _TRACK + 1)
    track = _box(b"trak", _full_box(b"tkhd", shown, flags=1), media)
    brands = _box(b"ftyp", b"avis\0\0\0\0avismsf1miaf")
    return brands + _box(b"moov", _full_box(b"mvhd", movie), track) + struct.pack(">I4s", 8 + data, b"mdat")


def _configuration(picture: PictureFormat) -> bytes:
    chroma = picture.tier << 7 | (0x0C if picture.profile == 0 else 0)
    return _box(b"av1C", bytes([0x81, picture.profile << 5 | picture.level, chroma, 0]))


def _location(start: int, length: int) -> bytes:
    """Return the content of ``iloc`` for one item in one extent."""
    return struct.pack(">IHHHHHII", 0, 0x4400, 1, _ITEM, 0, 1, start, length)


def _box(kind: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _full_box(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)
