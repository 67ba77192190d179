"""Whole files that an archive holds: originals of pictures, and files that are none."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vector_makers.archive import File, Picture, chunk, place
from vector_makers.fields import leb, stored, tagged, zeros_frame, zstd
from vector_makers.sample_archives import Invalid, Valid, expected, usual

PIECE = 1 << 23
PLAIN, PIECES, JPEG_XL, LEPTON, PNG = range(5)


def whole_file(way: int, raw: bytes, data: bytes, nanoseconds: int = 5, sha256: bytes | None = None) -> bytes:
    """A stored file as the content of a part."""
    known = hashlib.sha256(raw).digest() if sha256 is None else sha256
    return bytes([way]) + leb(len(raw)) + known + leb(nanoseconds) + data


def of_file(content: bytes, index: int = 0, name: str | None = None, kind: int = 2) -> Picture:
    """The picture whose original, or the file, a part holds."""
    size = (1, 1) if kind == 3 else (24, 8)
    return Picture(index, content, size, name, codec=4 + kind, extras=tagged(5, kind, len(content)))


def large_frame(raw_length: int) -> bytes:
    """A zstd frame of zeros that is as large as the limit of expansion asks for: a raw block, then run-length ones."""
    blocks, left = [(8200 << 3).to_bytes(3, "little") + bytes(8200)], raw_length - 8200
    while left:
        length = min(left, 1 << 17)
        left -= length
        blocks.append((length << 3 | 2 | (not left)).to_bytes(3, "little") + b"\0")
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", raw_length) + b"".join(blocks)


def in_pieces(pieces: Sequence[bytes], raw: bytes, letter: str = "O") -> tuple[bytes, list[Picture]]:
    """A file with a picture whose original lies in pieces."""
    file = File()
    file.decoder()
    places = b"".join(place(file.add(letter, piece)) for piece in pieces)
    pictures = [of_file(whole_file(PIECES, raw, places), kind=3)]
    file.records(pictures)
    file.root = file.leaf()
    beside = len(file.data)
    lengths = sum(len(chunk(letter, piece)) for piece in pieces)
    totals = leb(1) + leb(7) + leb(1) + leb(pictures[0].length + lengths)
    assert beside > lengths
    return file.footer(pixels=leb(0), totals=totals), pictures


def whole_files() -> list[Valid]:
    """Files that hold the originals of pictures, and files that are none."""
    pictures = [
        of_file(whole_file(PLAIN, b"an original", stored(b"an original")), 0, "a.bmp"),
        of_file(whole_file(PLAIN, b"", stored(b""), 0), 1, "empty", kind=3),
        of_file(whole_file(PLAIN, bytes(300), zstd(300, zeros_frame(300))), 2, "zeros", kind=3),
    ]
    raws = [b"an original", b"", bytes(300)]
    raw = bytes(PIECE) + b"!"
    data, large = in_pieces([zstd(PIECE, large_frame(PIECE)), stored(b"!")], raw)
    return [
        ("stored-files", "UNI-133", usual(pictures, footer={"pixels": leb(24 * 8)}), expected_files(pictures, raws)),
        ("file-in-pieces", "UNI-134", data, expected_files(large, [raw])),
    ]


def expected_files(pictures: Sequence[Picture], raws: Sequence[bytes]) -> dict[str, Any]:
    """What a reader must find of stored files: way, bytes, SHA-256 and nanoseconds of each."""
    values = expected(pictures)
    values["pictures"] = [listed | {"code": "InvalidField"} for listed in values["pictures"]]
    values["files"] = [
        [p.index, p.code[0], len(raw), hashlib.sha256(raw).hexdigest(), 5 * bool(raw)]
        for p, raw in zip(pictures, raws, strict=True)
    ]
    return values


def whole_file_errors() -> list[Invalid]:
    """Stored files that are wrong."""
    good = whole_file(PLAIN, b"file", stored(b"file"))
    twice = Picture(0, good + good, codec=6, extras=tagged(5, 2, len(good), 2, len(good)))
    sized = replace(of_file(good, kind=3), size=(24, 8))
    long_one, short_one = bytes(PIECE + 1), bytes(PIECE)
    piece = zstd(PIECE, large_frame(PIECE))
    other = zstd(PIECE - 1, large_frame(PIECE - 1))
    far = whole_file(PLAIN, b"", b"")[:1] + leb((1 << 40) + 1) + bytes(32) + leb(0) + stored(b"file")
    contents = [
        ("file-in-an-unknown-way", "UNI-131", whole_file(5, b"file", stored(b"file"))),
        ("file-of-too-many-bytes", "UNI-132", far),
        ("file-of-many-nanoseconds", "UNI-132", whole_file(PLAIN, b"file", stored(b"file"), 10**9)),
        ("file-cut-in-its-sha-256", "UNI-16", good[:20]),
        ("file-of-another-length", "UNI-133", whole_file(PLAIN, b"file", stored(b"files"))),
        ("file-shorter-than-said", "UNI-133", whole_file(PLAIN, b"file", stored(b"fil"))),
        ("file-too-large-for-one-piece", "UNI-133", whole_file(PLAIN, long_one, piece)),
        ("file-too-small-for-pieces", "UNI-134", whole_file(PIECES, short_one, b"")),
        ("file-without-its-pieces", "UNI-134", whole_file(PIECES, long_one, b"")),
        ("file-that-expands-too-far", "UNI-135", whole_file(LEPTON, bytes(2049), b"\xcf\x84")),
        ("file-too-large-to-transcode", "UNI-135", whole_file(PNG, b"", b"")[:1] + leb((1 << 28) + 1) + good[2:]),
    ]
    two = [piece, stored(b"\0")]
    wrong = whole_file(PLAIN, b"file", stored(b"file"), sha256=bytes(32))
    return [
        ("record-of-two-files", "UNI-130", "InvalidField", usual([twice])),
        ("file-with-a-size", "UNI-130", "InvalidField", usual([sized])),
        *((name, clause, "InvalidField", usual([of_file(content)])) for name, clause, content in contents),
        ("file-with-a-piece-too-few", "UNI-134", "InvalidField", in_pieces([piece], long_one)[0]),
        ("file-with-a-short-piece", "UNI-134", "InvalidField", in_pieces([other, stored(b"\0")], long_one)[0]),
        ("file-with-pieces-that-are-metadata", "UNI-09", "InvalidField", in_pieces(two, long_one, "m")[0]),
        ("file-of-another-sha-256", "UNI-139", "ChecksumMismatch", usual([of_file(wrong)])),
    ]
