"""Codes that picture files carry: where PNG, JPEG, WebP and AVIF files have a place for them.

Programs that do not know them skip them. A PNG chunk is marked as unsafe to copy, so that editors drop it.
"""

import struct
from collections.abc import Callable, Iterator

from unicorn_codec.pictures import recognise
from unicorn_codec.pictures.png_chunks import SIGNATURE, chunk

PNG_CHUNK = b"unIC"
JPEG_MARKER, JPEG_HEADER = b"\xff\xeb", b"unicorn-code\0"
WEBP_CHUNK = b"UNIC"
AVIF_UUID = bytes.fromhex("8a0f1d5c6b3e4f52a1c7756e69636f64")
MAX_SEGMENT_BYTES = (1 << 16) - 3
"""Of a JPEG marker's content."""

LOSSLESS = (recognise.PNG, recognise.WEBP)
"""Kinds of files that hold the very pixels of the code that they carry."""


def with_code(data: bytes, payload: bytes) -> bytes:
    """Return a picture file that carries a payload; the file itself where its format has no place for one."""
    adder = _ADDERS.get(recognise.recognise(data[: recognise.HEAD_BYTES]))
    return data if adder is None else adder(data, payload)


def code_in(data: bytes) -> bytes | None:
    """Return the payload that a picture file carries; None without one. The inverse of ``with_code``."""
    finder = _FINDERS.get(recognise.recognise(data[: recognise.HEAD_BYTES]))
    return None if finder is None else b"".join(finder(data)) or None


def can_carry(name: str) -> bool:
    """Return whether files of one of Pillow's formats can carry a code."""
    return name in ("PNG", "JPEG", "WEBP", "AVIF")


def _add_to_png(data: bytes, payload: bytes) -> bytes:
    end = len(SIGNATURE) + 25  # of the header's chunk, which comes first
    return data[:end] + chunk(PNG_CHUNK, payload) + data[end:]


def _find_in_png(data: bytes) -> Iterator[bytes]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind in (b"IDAT", b"IEND"):
            return
        body = data[at + 8 : at + 8 + size]
        if kind == PNG_CHUNK and data[at : at + 12 + size] == chunk(kind, body):
            yield body
            return
        at += 12 + size


def _add_to_jpeg(data: bytes, payload: bytes) -> bytes:
    room = MAX_SEGMENT_BYTES - len(JPEG_HEADER)
    parts = (JPEG_HEADER + payload[at : at + room] for at in range(0, len(payload), room))
    segments = b"".join(JPEG_MARKER + struct.pack(">H", 2 + len(part)) + part for part in parts)
    at = 2
    while data[at : at + 2] in (b"\xff\xe0", b"\xff\xe1"):  # JFIF and EXIF come first
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[:at] + segments + data[at:]


def _find_in_jpeg(data: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] in (0xDA, 0xD9) or size < 2:
            return
        body = data[at + 4 : at + 2 + size]
        if data[at : at + 2] == JPEG_MARKER and body.startswith(JPEG_HEADER):
            yield body[len(JPEG_HEADER) :]
        at += 2 + size


def _add_to_webp(data: bytes, payload: bytes) -> bytes:
    added = WEBP_CHUNK + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8 + len(added)) + data[8:] + added


def _find_in_webp(data: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == WEBP_CHUNK:
            yield data[at + 8 : at + 8 + size]
            return
        at += 8 + size + size % 2


def _add_to_avif(data: bytes, payload: bytes) -> bytes:
    return data + struct.pack(">I", 24 + len(payload)) + b"uuid" + AVIF_UUID + payload


def _find_in_avif(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:  # a box of 64 bits, or to the end: this software writes neither
            return
        if data[at + 4 : at + 24] == b"uuid" + AVIF_UUID:
            yield data[at + 24 : at + size]
            return
        at += size


_ADDERS: dict[recognise.Kind, Callable[[bytes, bytes], bytes]] = {
    recognise.PNG: _add_to_png,
    recognise.JPEG: _add_to_jpeg,
    recognise.WEBP: _add_to_webp,
    recognise.AVIF: _add_to_avif,
}
_FINDERS: dict[recognise.Kind, Callable[[bytes], Iterator[bytes]]] = {
    recognise.PNG: _find_in_png,
    recognise.JPEG: _find_in_jpeg,
    recognise.WEBP: _find_in_webp,
    recognise.AVIF: _find_in_avif,
}
