"""Codes that unpacked files carry."""

import hashlib
import struct
import zlib
from typing import Any

from vector_makers.archive import DECODER_FIELDS, ID, place
from vector_makers.fields import changed, leb

PIXELS = bytes(range(2 * 3 * 3))
"""Of a picture of 3 x 2 pixels in colour, row by row."""

UPDATE = b"an update"


def carried(**changes: bytes) -> bytes:
    """A carried code, with some fields changed."""
    digest = hashlib.sha256(leb(2) + leb(3) + leb(3) + PIXELS).digest()
    fields = {
        "version": b"\1",
        "pixels": digest,
        "archive": ID,
        "index": leb(300),
        "decoder": changed(DECODER_FIELDS, {}),
        "update": b"\0",
        "alpha": leb(0),
        "code": b"\1code",
    }
    return changed(fields, changes)


def carried_code_values() -> list[dict[str, Any]]:
    """Carried codes as files hold them, and such as a reader refuses."""
    sha256 = hashlib.sha256(UPDATE).digest()
    whole = b"\2" + sha256 + leb(len(UPDATE)) + UPDATE
    valid = [
        ("plain", carried(), {}),
        ("named-update", carried(update=b"\1" + sha256), {"update_sha256": sha256.hex()}),
        ("whole-update", carried(update=whole), {"update_sha256": sha256.hex(), "update": UPDATE.hex()}),
        ("opacity", carried(alpha=leb(5) + b"plane"), {"alpha": b"plane".hex()}),
    ]
    with_weights = changed(DECODER_FIELDS, {"weights": place((100, 20, bytes(8)))})
    invalid = [
        ("nothing", "UNI-160", b""),
        ("version-2", "UNI-160", carried(version=b"\2")),
        ("decoder-with-weights", "UNI-160", carried(decoder=with_weights)),
        ("update-of-kind-3", "UNI-160", carried(update=b"\3")),
        ("opacity-beyond-the-end", "UNI-160", carried(alpha=leb(50))),
        ("no-code", "UNI-160", carried(code=b"")),
        ("update-of-another-sha-256", "UNI-161", carried(update=b"\2" + bytes(32) + leb(1) + b"x")),
    ]
    usual = {"index": 300, "code": b"\1code".hex(), "update_sha256": "", "update": "", "alpha": ""}
    return [
        *({"name": name, "hex": data.hex(), **usual, **other} for name, data, other in valid),
        *(
            {"name": name, "clause": clause, "error": "InvalidField", "hex": data.hex()}
            for name, clause, data in invalid
        ),
        {"name": "pixels", "width": 3, "height": 2, "channels": 3, "pixels": PIXELS.hex(), "hex": carried().hex()},
        *({"name": name, "file": data.hex(), "hex": carried().hex()} for name, data in files(carried())),
    ]


def files(payload: bytes) -> list[tuple[str, bytes]]:
    """Beginnings of files of each format that carry a payload; a JPEG file has it in two segments."""
    png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">2I5B", 3, 2, 8, 2, 0, 0, 0))
    parts = [b"unicorn-code\0" + part for part in (payload[:40], payload[40:])]
    jpeg = b"".join(b"\xff\xeb" + struct.pack(">H", 2 + len(part)) + part for part in parts)
    padded = payload + bytes(len(payload) % 2)
    webp = b"WEBPUNIC" + struct.pack("<I", len(payload)) + padded
    uuid = bytes.fromhex("8a0f1d5c6b3e4f52a1c7756e69636f64")
    avif = struct.pack(">I", 16) + b"ftypavif" + bytes(4)
    return [
        ("png", png + png_chunk(b"unIC", payload) + png_chunk(b"IEND", b"")),
        ("jpeg", b"\xff\xd8" + jpeg + b"\xff\xd9"),
        ("webp", b"RIFF" + struct.pack("<I", len(webp)) + webp),
        ("avif", avif + struct.pack(">I", 24 + len(payload)) + b"uuid" + uuid + payload),
    ]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
