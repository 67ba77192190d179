"""Metadata into picture files: settings of Pillow's writers, and what they cannot do."""

import struct
from typing import Any

from PIL import Image, PngImagePlugin

from unicorn_codec.exif_directory import PREFIX, BadExif, tiff_with_exif, without_orientation
from unicorn_codec.metadata import PictureMetadata
from unicorn_codec.pictures.file_metadata import IPTC_KEYWORD, PHOTOSHOP, XMP_IN_JPEG, XMP_KEYWORD

MAX_SEGMENT_BYTES = (1 << 16) - 3
"""Of a JPEG marker's content."""

_XMP_TAG, _IPTC_TAG = 700, 33723
_PNG_KEYWORD_BYTES = 79


def settings_for(name: str, metadata: PictureMetadata) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that make Pillow's writer of a format write metadata, and what it cannot take.

    Not of PNG, whose writer gets ``png_chunks_of``.
    """
    exif, xmp, iptc = metadata.exif, metadata.xmp, metadata.iptc
    if name == "JPEG":
        return _jpeg_settings(metadata)
    lost = ["PNG text"] if metadata.texts else []
    if name in ("WEBP", "AVIF"):
        settings = {"exif": without_orientation(exif) if name == "AVIF" else exif, "xmp": xmp}
        return {key: value for key, value in settings.items() if value}, lost + (["IPTC"] if iptc else [])
    if name == "TIFF":
        tags = Image.Exif()
        tags.update({tag: value for tag, value in ((_XMP_TAG, xmp), (_IPTC_TAG, iptc)) if value})
        return ({"exif": tags} if len(tags) else {}), lost
    kept = (("EXIF", exif), ("XMP", xmp), ("IPTC", iptc))
    return {}, lost + [kind for kind, value in kept if value]


def finish(name: str, encoded: bytes, metadata: PictureMetadata) -> bytes:
    """Return a written file with what its writer could not add: the EXIF of a TIFF file."""
    if name != "TIFF" or not metadata.exif:
        return encoded
    try:
        return tiff_with_exif(encoded, metadata.exif)
    except BadExif:
        return encoded


def _jpeg_settings(metadata: PictureMetadata) -> tuple[dict[str, Any], list[str]]:
    settings: dict[str, Any] = {}
    lost = ["PNG text"] if metadata.texts else []
    exif, resources = PREFIX + metadata.exif, PHOTOSHOP + _iptc_resource(metadata.iptc)
    if metadata.exif and len(exif) <= MAX_SEGMENT_BYTES:
        settings["exif"] = exif
    elif metadata.exif:
        lost.append("EXIF")
    if metadata.xmp and len(XMP_IN_JPEG) + len(metadata.xmp) <= MAX_SEGMENT_BYTES:
        settings["xmp"] = metadata.xmp
    elif metadata.xmp:
        lost.append("XMP")
    if metadata.iptc and len(resources) <= MAX_SEGMENT_BYTES:
        settings["extra"] = b"\xff\xed" + struct.pack(">H", 2 + len(resources)) + resources
    elif metadata.iptc:
        lost.append("IPTC")
    return settings, lost


def _iptc_resource(iptc: bytes) -> bytes:
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)


def png_chunks_of(metadata: PictureMetadata) -> list[tuple[bytes, bytes]]:
    """Return types and bodies of the chunks that hold all metadata in a PNG file."""
    texts = PngImagePlugin.PngInfo()
    for keyword, text in metadata.texts:
        if 1 <= len(keyword.encode("latin-1", "replace")) <= _PNG_KEYWORD_BYTES:
            _add_text(texts, keyword, text)
    if metadata.xmp:
        texts.add_itxt(XMP_KEYWORD, metadata.xmp.decode("utf-8", "replace"))
    if metadata.iptc:
        profile = _iptc_resource(metadata.iptc)
        digits = profile.hex()
        lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
        texts.add_text(IPTC_KEYWORD, f"\niptc\n{len(profile):8}\n{lines}\n", zip=True)
    chunks = [(kind, body) for kind, body, *_ in texts.chunks]
    return [*chunks, (b"eXIf", metadata.exif)] if metadata.exif else chunks


def _add_text(texts: PngImagePlugin.PngInfo, keyword: str, text: str) -> None:
    keyword = keyword.encode("latin-1", "replace").decode("latin-1")
    if text.isascii():
        texts.add_text(keyword, text)
    else:
        texts.add_itxt(keyword, text)
