"""Recognition of file formats by their first bytes, without decoding."""

from dataclasses import dataclass

HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Args:
        name: for messages, such as ``JPEG``.
        is_picture: whether such files are pictures.
        is_read: whether this software reads it, possibly with an optional package.
    """

    name: str
    is_picture: bool = True
    is_read: bool = True


JPEG = Kind("JPEG")
PNG = Kind("PNG")
WEBP = Kind("WebP")
AVIF = Kind("AVIF")
TIFF = Kind("TIFF")
BMP = Kind("BMP")
DIB = Kind("DIB")
GIF = Kind("GIF")
HEIC = Kind("HEIC")
RAW = Kind("camera raw")

_SIGNATURES: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG\r\n\x1a\n", PNG),
    (0, b"GIF87a", GIF),
    (0, b"GIF89a", GIF),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIRS", RAW),
    (0, b"MMOR", RAW),
    (0, b"IIU\0", RAW),
    (0, b"FOVb", RAW),
    (0, b"\0MRM", RAW),
    (6, b"HEAPCCDR", RAW),
    (8, b"CR\x02\0", RAW),
    (0, b"II\xbc\x01", Kind("JPEG XR", is_read=False)),
    (0, b"II*\0", TIFF),
    (0, b"MM\0*", TIFF),
    (0, b"II+\0", TIFF),
    (0, b"MM\0+", TIFF),
    (0, b"BM", BMP),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Kind("JPEG 2000", is_read=False)),
    (0, b"\xff\x4f\xff\x51", Kind("JPEG 2000", is_read=False)),
    (0, b"\xff\x0a", Kind("JPEG XL", is_read=False)),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Kind("JPEG XL", is_read=False)),
    (0, b"8BPS", Kind("Photoshop", is_read=False)),
    (0, b"gimp xcf", Kind("GIMP", is_read=False)),
    (0, b"\x76\x2f\x31\x01", Kind("OpenEXR", is_read=False)),
    (0, b"#?RADIANCE", Kind("Radiance HDR", is_read=False)),
    (0, b"#?RGBE", Kind("Radiance HDR", is_read=False)),
    (0, b"qoif", Kind("QOI", is_read=False)),
    (0, b"DDS ", Kind("DDS", is_read=False)),
    (0, b"SIMPLE  =", Kind("FITS", is_read=False)),
    (128, b"DICM", Kind("DICOM", is_read=False)),
    (0, b"AT&TFORM", Kind("DjVu", is_read=False)),
    (0, b"\x8aMNG\r\n\x1a\n", Kind("MNG", is_read=False)),
    (0, b"\0\0\x01\0", Kind("icon", is_read=False)),
    (0, b"\0\0\x02\0", Kind("cursor", is_read=False)),
    (0, b"\x0a\x05\x01\x08", Kind("PCX", is_read=False)),
    (0, b"%PDF-", Kind("PDF", is_picture=False, is_read=False)),
    (0, b"%!PS-Adobe", Kind("PostScript", is_picture=False, is_read=False)),
)
"""Offset, bytes, kind, in order of precedence."""

_BRANDS = {
    b"avif": AVIF,
    b"avis": AVIF,
    b"heic": HEIC,
    b"heix": HEIC,
    b"heim": HEIC,
    b"heis": HEIC,
    b"hevc": HEIC,
    b"hevx": HEIC,
    b"crx ": RAW,
}
"""Kinds by the brands of an ISO media file; compatible brands decide if the major one is ``mif1`` or ``msf1``."""

_VIDEO = Kind("video", is_picture=False, is_read=False)
_SVG = Kind("SVG", is_read=False)
_NETPBM = Kind("Netpbm", is_read=False)
UNKNOWN = Kind("file of no known picture format", is_picture=False, is_read=False)


def recognise(head: bytes) -> Kind:
    """Return the kind of a file by its first ``HEAD_BYTES`` bytes, or all if there are fewer."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind if kind != BMP or _is_bmp(head) else UNKNOWN
    if len(head) > 40 and head[:4] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0") and head[12:14] == b"\1\0":
        return DIB
    if len(head) > 8 and head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3] in b" \t\r\n#":
        return _NETPBM
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!doctype svg")) and b"<svg" in start):
        return _SVG
    return UNKNOWN


def _of_brands(head: bytes) -> Kind:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), _VIDEO)


def _is_bmp(head: bytes) -> bool:
    """Return whether a file that begins with BM has a BMP header, and is not a text."""
    size = int.from_bytes(head[14:18], "little")
    planes = head[22:24] if size == 12 else head[26:28]
    return len(head) < 28 or (12 <= size <= 124 and planes == b"\1\0")
