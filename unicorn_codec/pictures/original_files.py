"""Whole files to what an archive stores of them, and back to the same bytes.

JPEG and PNG files are transcoded where that is smaller; every other file is stored as packed bytes, a large one in
pieces. What is stored is decoded and compared before it is trusted.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO

from unicorn_codec.errors import InvalidField, UnicornError
from unicorn_codec.format.limits import MAX_CODED_PIXELS, MAX_EXPANSION, MAX_PIECE_BYTES, MAX_RAW_BYTES
from unicorn_codec.format.packed_bytes import pack_bytes
from unicorn_codec.format.pages import Place
from unicorn_codec.format.stored_files import (
    JPEG_XL,
    LEPTON,
    PIECES,
    PLAIN,
    PNG,
    StoredFile,
    serialize_places,
    unpacked_pieces,
    verified,
)
from unicorn_codec.pictures import recognise
from unicorn_codec.pictures.jpeg_transcoding import from_jpeg_xl, from_lepton, to_jpeg_xl, to_lepton
from unicorn_codec.pictures.png_rebuilding import put_together, take_apart

Read = Callable[[Place], bytes]
Add = Callable[[bytes], Place]

LARGE_BYTES = 1 << 20
ZSTD_LEVELS = (19, 6)
"""Of files up to ``LARGE_BYTES``, and of larger ones, which are mostly films that do not compress."""

_ENCODERS: dict[recognise.Kind, tuple[tuple[int, Callable[[bytes], bytes | None]], ...]] = {
    recognise.JPEG: ((LEPTON, to_lepton), (JPEG_XL, to_jpeg_xl)),
    recognise.PNG: ((PNG, take_apart),),
}
_DECODERS: dict[int, Callable[[bytes, int, int], bytes]] = {
    LEPTON: from_lepton,
    JPEG_XL: from_jpeg_xl,
    PNG: put_together,
}


def store_file(file: IO[bytes], size: int, add_piece: Add) -> StoredFile:
    """Store a file in the smallest way that gives its bytes back.

    A file that is not transcoded is read, and is in memory, a piece at a time.

    Args:
        file: opened for reading, at its start.
        size: its bytes.
        add_piece: writes a piece's payload to the archive, and returns its place.
    """
    head = file.read(recognise.HEAD_BYTES)
    if recognise.recognise(head) in _ENCODERS and size <= MAX_RAW_BYTES:
        data = head + file.read()
        found = transcoded(data)
        if found is not None:
            return found
        return _stored_in_pieces((data[at : at + MAX_PIECE_BYTES] for at in _starts(len(data))), add_piece)
    return _stored_in_pieces(_pieces_of(file, head), add_piece)


def restored_file(stored: StoredFile, read: Read, max_pixels: int) -> Iterator[bytes]:
    """Yield the bytes of a stored file, a piece at a time. The inverse of ``store_file``.

    Args:
        read: returns the payload of a piece.
        max_pixels: of transcoded pictures.

    Raises:
        FormatError: it is damaged, or the bytes are not those that were stored, which may only show behind the last.
        PictureTooLarge: a transcoded file claims more than ``max_pixels``.
        PackageMissing: it takes a package that is not installed.
    """
    if stored.way not in _DECODERS:
        yield from verified(stored, unpacked_pieces(stored, read))
        return
    whole = _DECODERS[stored.way](stored.data, stored.file_bytes, max_pixels)
    yield from list(verified(stored, iter([whole])))  # a list: nothing is handed out before it is compared


def transcoded(data: bytes) -> StoredFile | None:
    """Return a picture file in the smallest of its ways that gives its bytes back; None without one that pays."""
    plain = StoredFile(way=PLAIN, file_bytes=0, sha256=hashlib.sha256(data).digest(), data=b"")
    found = list[StoredFile]()
    for way, encode in _ENCODERS.get(recognise.recognise(data[: recognise.HEAD_BYTES]), ()):
        stream = encode(data)
        if stream is None or not len(stream) < len(data) <= MAX_EXPANSION * len(stream):
            continue
        stored = replace(plain, way=way, file_bytes=len(data), data=stream)
        if _comes_back(stored):
            found.append(stored)
    return min(found, key=lambda stored: len(stored.data), default=None)


def _comes_back(stored: StoredFile) -> bool:
    """Return whether a transcoded file gives its bytes back."""
    try:
        return all(True for _ in restored_file(stored, _without_pieces, MAX_CODED_PIXELS))
    except UnicornError:
        return False


def _without_pieces(place: Place) -> bytes:
    raise InvalidField(f"a transcoded file with a piece at byte {place.offset}")


def _stored_in_pieces(pieces: Iterator[bytes], add_piece: Add) -> StoredFile:
    """Store a file as packed bytes, in its record if it is of one piece."""
    digest, length, places, first = hashlib.sha256(), 0, list[Place](), b""
    for piece in pieces:
        if length:
            places = places or [add_piece(_packed(first))]
            places.append(add_piece(_packed(piece)))
        else:
            first = piece
        digest.update(piece)
        length += len(piece)
    data = serialize_places(places) if places else _packed(first)
    return StoredFile(way=PIECES if places else PLAIN, file_bytes=length, sha256=digest.digest(), data=data)


def _packed(raw: bytes) -> bytes:
    return pack_bytes(raw, ZSTD_LEVELS[len(raw) > LARGE_BYTES])


def _pieces_of(file: IO[bytes], head: bytes) -> Iterator[bytes]:
    """Yield all of a file whose first bytes were read, in pieces."""
    piece = head + file.read(MAX_PIECE_BYTES - len(head))
    while piece:
        yield piece
        piece = file.read(MAX_PIECE_BYTES)


def _starts(length: int) -> range:
    return range(0, length, MAX_PIECE_BYTES)
