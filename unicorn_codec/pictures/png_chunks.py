"""Chunks of a PNG file: pixels, colour space, metadata, and damage."""

import struct
import zlib
from dataclasses import dataclass, field

from unicorn_codec.pictures.colour_space import ColourSpace, of_cicp, of_png_gamma
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE_BYTES = 4 << 20
MAX_METADATA_BYTES = 1 << 20
"""Size limit of chunks that may hold EXIF; larger ones are ignored."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_EXIF_KEYWORDS = (b"Raw profile type exif\0", b"Raw profile type APP1\0", b"XML:com.adobe.xmp\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PngFile:
    """Content of the chunks.

    Args:
        colour_type: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha.
        palette: payload of PLTE; empty without one.
        transparency: payload of tRNS; None without one.
        data: payload of all IDAT chunks, in order.
        colour: by the first valid one of cICP, iCCP, sRGB, gAMA with cHRM; None without any.
        narrow: whether samples span 16 to 235 of 255, by cICP.
        exif: types and payloads of chunks from which Pillow reads EXIF or XMP.
        frames: number of pictures, 1 unless the file is animated.
        missing_end: whether IEND is missing, which is not damage by itself.
        notes: remarks on ignored chunks.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes
    transparency: bytes | None
    data: bytes
    colour: ColourSpace | None
    narrow: bool
    exif: tuple[tuple[bytes, bytes], ...]
    frames: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a picture that is not interlaced, without its filter byte."""
        return (self.width * self.depth * _CHANNELS[self.colour_type] + 7) // 8


@dataclass(slots=True)
class _Seen:
    """Chunks in the order found."""

    first: dict[bytes, bytes] = field(default_factory=dict)
    data: list[bytes] = field(default_factory=list)
    exif: list[tuple[bytes, bytes]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    frame_controls_before_data: int = 0


def parse_png(data: bytes) -> PngFile:
    """Read the chunks. Damage that can be skipped becomes a fault or a note.

    Raises:
        BadFile: the header is missing or invalid.
    """
    seen = _chunks(data)
    header = seen.first.get(b"IHDR", b"")
    if len(header) != 13:
        raise DamagedFile("its header is missing or damaged")
    width, height, depth, colour_type, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour_type, ()) or compression or filtering or interlace > 1:
        raise BadFile(f"a PNG of depth {depth} and colour type {colour_type} is not defined")
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        raise BadFile(f"its header claims {width}x{height} pixels")
    if not seen.data:
        raise DamagedFile("it holds no picture data")
    colour, narrow = _colour(seen)
    return PngFile(
        width=width,
        height=height,
        depth=depth,
        colour_type=colour_type,
        interlaced=bool(interlace),
        palette=seen.first.get(b"PLTE", b""),
        transparency=seen.first.get(b"tRNS"),
        data=b"".join(seen.data),
        colour=colour,
        narrow=narrow,
        exif=tuple(seen.exif),
        frames=_frames(seen),
        faults=tuple(seen.faults),
        notes=tuple(seen.notes),
    )


def plain_png(png: PngFile) -> bytes:
    """Return a PNG file with only the picture's pixels and EXIF: no colour space, text or transparency."""
    interlace = int(png.interlaced)
    header = struct.pack(">IIBBBBB", png.width, png.height, png.depth, png.colour_type, 0, 0, interlace)
    parts = [(b"IHDR", header), *png.exif]
    if png.palette:
        parts.append((b"PLTE", png.palette))
    parts += [(b"IDAT", png.data), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in parts)


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _chunks(data: bytes) -> _Seen:
    seen, at = _Seen(), len(SIGNATURE)
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IEND":
            break
        body = data[at + 8 : at + 8 + size]
        stored = data[at + 8 + size : at + 12 + size]
        is_whole = len(stored) == 4 and int.from_bytes(stored, "big") == zlib.crc32(body, zlib.crc32(kind))
        _take(seen, kind, body, is_whole)
        at += 12 + size
    return seen


def _take(seen: _Seen, kind: bytes, body: bytes, is_whole: bool) -> None:
    if kind == b"IDAT":
        seen.data.append(body)
        if not is_whole:
            seen.faults.append("a checksum of its picture data does not hold")
    elif not kind[:1].islower():
        if not is_whole:
            seen.faults.append(f"its chunk {kind.decode('latin-1')!r} is damaged")
        seen.first.setdefault(kind, body)
    elif not is_whole:
        if kind in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"tRNS"):
            seen.faults.append(f"its chunk {kind.decode()} is damaged")
        elif kind == b"eXIf":
            seen.notes.append("its EXIF is damaged and was ignored; it may be shown turned")
    elif kind in (b"eXIf", b"zTXt", b"iTXt", b"tEXt"):
        if kind == b"eXIf" or (body.startswith(_EXIF_KEYWORDS) and len(body) <= MAX_METADATA_BYTES):
            seen.exif.append((kind, body))
    else:
        if kind == b"fcTL" and not seen.data:
            seen.frame_controls_before_data += 1
        seen.first.setdefault(kind, body)


def _frames(seen: _Seen) -> int:
    """Count the pictures: the still one counts separately if it is not a frame of the animation."""
    control = seen.first.get(b"acTL", b"")
    if len(control) != 8:
        return 1
    return max(1, int.from_bytes(control[:4], "big") + (not seen.frame_controls_before_data))


def _colour(seen: _Seen) -> tuple[ColourSpace | None, bool]:
    """Return the colour space by PNG's third edition's order of precedence, and whether samples have narrow range."""
    cicp = seen.first.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2] == 0:
        if (found := of_cicp(cicp[0], cicp[1])) is not None:
            return found, cicp[3] == 0
        seen.notes.append(f"its colour space is number {cicp[0]} with curve {cicp[1]} (CICP), which is not known here")
    if b"iCCP" in seen.first:
        profile = _profile(seen.first[b"iCCP"])
        if profile is not None:
            return ColourSpace(icc=profile), False
        seen.notes.append(f"its colour profile is damaged, or over {MAX_PROFILE_BYTES >> 20} MB, and was ignored")
    if b"sRGB" in seen.first:
        return ColourSpace(), False
    gamma, points = seen.first.get(b"gAMA", b""), seen.first.get(b"cHRM", b"")
    encoding = int.from_bytes(gamma, "big") / 100_000 if len(gamma) == 4 else 0.0
    chromaticities = tuple(v / 100_000 for v in struct.unpack(">8I", points)) if len(points) == 32 else None
    if chromaticities is not None and not all(0 < y < 1 for y in chromaticities[1::2]):
        chromaticities = None
    return of_png_gamma(encoding if 0.01 <= encoding <= 10 else None, chromaticities), False


def _profile(body: bytes) -> bytes | None:
    name, _, compressed = body.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(compressed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if len(name) < 80 and unpacker.eof else None
