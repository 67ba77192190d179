"""Metadata of picture files: read as far as it is sound, made to fit the pixels that are stored.

ICC profiles are not metadata here: pixels are converted to sRGB, and the profile of the file would make them wrong.
"""

import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile

from unicorn_codec.config import MetadataOptions
from unicorn_codec.exif_directory import EXIF_IFD, GPS_IFD, PREFIX, BadExif, normalised_exif
from unicorn_codec.format.blobs import EXIF, IPTC, PNG_TEXT, XMP
from unicorn_codec.metadata import serialize_texts
from unicorn_codec.pictures import recognise

MAX_BYTES = 1 << 20
"""Of one kind of metadata of a picture; more is left out, with a note."""

XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
PHOTOSHOP = b"Photoshop 3.0\0"
XMP_KEYWORD, IPTC_KEYWORD = "XML:com.adobe.xmp", "Raw profile type iptc"

_EXIF_KEYWORDS = ("Raw profile type exif", "Raw profile type APP1")
_XMP_TAG, _IPTC_TAG = 700, 33723
_IPTC_RESOURCE = 0x0404

DESCRIPTIVE_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432)
"""Of a TIFF file's first directory: what says something about the picture, and not how its samples are stored."""

_ORIENTATION_IN_XMP = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)\d+")
_GPS_ATTRIBUTE = re.compile(rb"\sexif:GPS\w+\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_GPS_ELEMENT = re.compile(rb"<exif:(GPS\w+)(?:\s[^<>]*)?(?:/>|>[^<]*</exif:\1\s*>)")
_THUMBNAILS = (b"<xmp:Thumbnails>", b"</xmp:Thumbnails>")
_EXTENDED = re.compile(rb"\sxmpNote:HasExtendedXMP\s*=\s*(?:\"[^\"]*\"|'[^']*')")


@dataclass(slots=True)
class _Found:
    """Metadata as it stands in a file."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """Metadata as an archive stores it: pairs of kind and bytes, and notes on what was left out."""

    blobs: tuple[tuple[int, bytes], ...] = ()
    notes: tuple[str, ...] = ()


def read_metadata(data: bytes, width: int, height: int, options: MetadataOptions) -> FileMetadata:
    """Read the metadata of a picture file, for the upright pixels of this size that are stored of it.

    Raises nothing: what is damaged or too large is left out, with a note.
    """
    if not options.keep:
        return FileMetadata()
    try:
        found = _find(data)
    except Exception:  # noqa: BLE001 - hostile metadata breaks libraries in any way, and costs only itself
        return FileMetadata(notes=("its metadata is damaged and was left out",))
    blobs, notes = list[tuple[int, bytes]](), list[str]()

    def keep(kind: int, name: str, blob: bytes, fit: Callable[[bytes], bytes]) -> None:
        if len(blob) > MAX_BYTES:
            notes.append(f"its {name} of {len(blob)} bytes was left out; {MAX_BYTES} are allowed")
        elif blob:
            try:
                fitted = fit(blob)
            except BadExif as error:
                notes.append(f"its {name} was left out: {error}")
            else:
                blobs.append((kind, fitted))

    keep(EXIF, "EXIF", found.exif, lambda blob: normalised_exif(blob, width, height, keep_gps=options.keep_gps))
    keep(XMP, "XMP", found.xmp, lambda blob: fitting_xmp(blob, keep_gps=options.keep_gps))
    keep(IPTC, "IPTC", found.iptc, bytes)
    keep(PNG_TEXT, "text", serialize_texts(tuple(found.texts)), bytes)
    return FileMetadata(tuple(blobs), tuple(notes))


def fitting_xmp(xmp: bytes, *, keep_gps: bool) -> bytes:
    """Return an XMP packet for upright pixels: orientation 1, no thumbnails, and no place unless it is kept.

    Raises:
        BadExif: a place cannot be taken out of it.
    """
    fitted = _ORIENTATION_IN_XMP.sub(rb"\g<1>1", xmp.rstrip(b"\0"))
    fitted = _EXTENDED.sub(b"", _without_thumbnails(fitted))
    if not keep_gps:
        fitted = _GPS_ELEMENT.sub(b"", _GPS_ATTRIBUTE.sub(b"", fitted))
        if b"GPS" in fitted or b"\0G\0P\0S" in fitted or b"G\0P\0S\0" in fitted:
            raise BadExif("a place in it cannot be removed")
    return fitted


def _without_thumbnails(xmp: bytes) -> bytes:
    start, end = (xmp.find(mark) for mark in _THUMBNAILS)
    return xmp[:start] + xmp[end + len(_THUMBNAILS[1]) :] if 0 <= start < end else xmp


def _find(data: bytes) -> _Found:
    kind = recognise.recognise(data[: recognise.HEAD_BYTES])
    finder = _FINDERS.get(kind)
    return _Found() if finder is None else finder(data)


def _of_jpeg(data: bytes) -> _Found:
    found, photoshop = _Found(), b""
    for marker, body in _jpeg_segments(data):
        if marker == 0xE1 and body.startswith(PREFIX):
            found.exif = found.exif or body
        elif marker == 0xE1 and body.startswith(XMP_IN_JPEG):
            found.xmp = found.xmp or body[len(XMP_IN_JPEG) :]
        elif marker == 0xED and body.startswith(PHOTOSHOP):
            photoshop += body[len(PHOTOSHOP) :]
    found.iptc = iptc_of_photoshop(photoshop)
    return found


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and contents before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xDA, 0xD9) or size < 2:
            return
        yield marker, data[at + 4 : at + 2 + size]
        at += 2 + size


def iptc_of_photoshop(resources: bytes) -> bytes:
    """Return the IPTC-IIM records among Photoshop's resources; empty without any."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 7 <= len(resources):
        name = 1 + resources[at + 6]
        start = at + 6 + name + name % 2 + 4
        size = int.from_bytes(resources[start - 4 : start], "big")
        if int.from_bytes(resources[at + 4 : at + 6], "big") == _IPTC_RESOURCE:
            return resources[start : start + size]
        at = start + size + size % 2
    return b""


def _of_png(data: bytes) -> _Found:
    found, at, total = _Found(), 8, 0
    while at + 12 <= len(data) and total <= MAX_BYTES:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body, crc = data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        at += 12 + size
        if kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") or int.from_bytes(crc, "big") != zlib.crc32(kind + body):
            continue
        if kind == b"eXIf":
            found.exif = body
            continue
        keyword, text = _png_text(kind, body)
        total += len(text)  # many small chunks could unpack to much
        if keyword == XMP_KEYWORD:
            found.xmp = text.encode()
        elif keyword in _EXIF_KEYWORDS:
            found.exif = found.exif or _raw_profile(text)
        elif keyword == IPTC_KEYWORD:
            profile = _raw_profile(text)
            found.iptc = iptc_of_photoshop(profile) or profile
        elif keyword and not keyword.startswith("Raw profile type"):
            found.texts.append((keyword, text))
    return found


def _png_text(kind: bytes, body: bytes) -> tuple[str, str]:
    """Keyword and text of a chunk, of which no more is unpacked than shows that it is too large."""
    keyword, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        is_compressed, rest = rest[:1] == b"\1", rest[2:]
        text = rest.split(b"\0", 2)[2]
    else:
        is_compressed, text = kind == b"zTXt", rest[kind == b"zTXt" :]
    if is_compressed:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(text, MAX_BYTES + 1)
    return keyword.decode("latin-1"), text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def _raw_profile(text: str) -> bytes:
    """The bytes of ImageMagick's raw profiles: a name, a length and hexadecimal digits, in lines."""
    parts = text.split(maxsplit=2)
    return bytes.fromhex("".join(parts[2].split())) if len(parts) == 3 else b""


def _of_webp(data: bytes) -> _Found:
    found, at = _Found(), 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"EXIF":
            found.exif = data[at + 8 : at + 8 + size]
        elif kind == b"XMP ":
            found.xmp = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


def _of_avif(data: bytes) -> _Found:
    with AvifImageFile(io.BytesIO(data)) as image:
        return _Found(exif=image.info.get("exif", b""), xmp=image.info.get("xmp", b""))


def _of_heic(data: bytes) -> _Found:
    import pillow_heif

    opened = pillow_heif.open_heif(io.BytesIO(data))
    info = opened[opened.primary_index].info
    return _Found(exif=info.get("exif") or b"", xmp=info.get("xmp") or b"")


def _of_tiff(data: bytes) -> _Found:
    """A TIFF file's first directory is EXIF's, among the tags that say how its samples are stored."""
    whole, kept, found = Image.Exif(), Image.Exif(), _Found()
    whole.load(data)
    for tag in DESCRIPTIVE_TAGS:
        if tag in whole:
            kept[tag] = whole[tag]
    for tag in (EXIF_IFD, GPS_IFD):
        if inner := whole.get_ifd(tag):
            kept.get_ifd(tag).update(inner)
    if len(kept) or kept.get_ifd(EXIF_IFD) or kept.get_ifd(GPS_IFD):
        found.exif = kept.tobytes()
    found.xmp = _bytes_of(whole.get(_XMP_TAG))
    found.iptc = _bytes_of(whole.get(_IPTC_TAG))
    return found


def _bytes_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


_FINDERS: dict[recognise.Kind, Callable[[bytes], _Found]] = {
    recognise.JPEG: _of_jpeg,
    recognise.PNG: _of_png,
    recognise.WEBP: _of_webp,
    recognise.AVIF: _of_avif,
    recognise.HEIC: _of_heic,
    recognise.TIFF: _of_tiff,
}
