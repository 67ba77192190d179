"""PNG files to their pixels, compressed better, with all it takes to make the same bytes again.

A PNG file is rows of samples, each filtered in one of five ways, deflated by zlib, and cut into chunks. The samples are
stored as lossless JPEG XL, or the filtered rows by zstd; the settings of zlib are found by trying. Files that another
deflater made cannot be made again, and are stored otherwise.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField, PackageMissing
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_RAW_BYTES
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes
from unicorn_codec.pictures.jpeg_transcoding import check_jpeg_xl
from unicorn_codec.pictures.picture_files import BadFile
from unicorn_codec.pictures.png_chunks import SIGNATURE, PngFile, chunk, parse_png, plain_png

ROWS, JPEG_XL = range(2)
"""How the samples are stored: filtered rows as packed bytes, or as a JPEG XL stream."""

EFFORT = 5
"""Of JPEG XL. Higher ones take several times as long for a few per cent."""

TRIED_BYTES = 1 << 17
"""Of the rows, to find zlib's settings."""

MEMORY_LEVELS = (8, 9)
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)
LEVELS = (6, 9, 1, 2, 3, 4, 5, 7, 8)

REFERENCE_SHA256 = "e6308084c5923468136c7528fec237c27f7dcbea51525c5f04a8511a6063f2dc"
"""Of what zlib 1.2.11 to 1.3.1 make of ``_reference_text`` at all levels and strategies."""

_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)
_HEADER_END = len(SIGNATURE) + 25
_GRAY = 0
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_BY_SAMPLES = (8, 16)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Deflate:
    """Settings of zlib: level, strategy, bits of the window, and level of memory."""

    level: int
    strategy: int
    window: int
    memory: int

    def compress(self, data: bytes) -> bytes:
        """Return the deflated data, without zlib's header and checksum."""
        deflater = self._deflater()
        return deflater.compress(data) + deflater.flush()

    def begins(self, data: bytes) -> bytes:
        """Return what is certain of the deflated data, given its beginning."""
        return self._deflater().compress(data)

    def _deflater(self) -> "zlib._Compress":
        return zlib.compressobj(self.level, zlib.DEFLATED, -self.window, self.memory, self.strategy)


def take_apart(data: bytes) -> bytes | None:
    """Return what a PNG file is made again from; None if it cannot be, or not with any of the known settings."""
    try:
        png = parse_png(data)
    except BadFile:
        return None
    framed = _framing(data)
    size = (png.row_bytes + 1) * png.height
    if framed is None or png.interlaced or size > MAX_RAW_BYTES or not zlib_is_reference():
        return None
    before, lengths, after = framed
    unpacker = zlib.decompressobj()
    try:
        filtered = unpacker.decompress(png.data, size + 1)
    except zlib.error:
        return None
    if len(filtered) != size or not unpacker.eof or unpacker.unused_data:
        return None
    settings = _settings_of(png.data, filtered)
    if settings is None:
        return None
    rows = np.frombuffer(filtered, np.uint8).reshape(png.height, png.row_bytes + 1)
    kinds = b"" if (rows[:, 0] > _PAETH).any() else rows[:, 0].tobytes()
    coded = pack_bytes(filtered)
    as_samples = _jpeg_xl_of(png) if kinds else None
    coding = JPEG_XL if as_samples is not None and len(as_samples) < len(coded) else ROWS
    rest = varint(len(before)) + before + varint(len(lengths)) + b"".join(map(varint, lengths))
    rest += png.data[:2] + (kinds if coding == JPEG_XL else b"")
    packed = pack_bytes(varint(len(rest)) + rest + after)
    numbers = bytes([coding, settings.level, settings.strategy, settings.window, settings.memory])
    return numbers + varint(len(packed)) + packed + (as_samples if coding == JPEG_XL and as_samples else coded)


def put_together(stored: bytes, file_bytes: int, max_pixels: int) -> bytes:
    """Invert ``take_apart``.

    Args:
        file_bytes: of the PNG file.
        max_pixels: larger pictures are refused.

    Raises:
        InvalidField: it is not what such a file is made from.
        PictureTooLarge: it claims more than ``max_pixels``.
        PackageMissing: this zlib deflates in another way than the usual one.
    """
    with refusing("PNG file"):
        fields = Fields(stored)
        coding, level, strategy, window, memory = fields.take(5)
        check(coding in (ROWS, JPEG_XL), f"samples stored in way {coding}")
        check(1 <= level <= 9 and strategy <= 4 and 9 <= window <= 15 and 1 <= memory <= 9, "settings of zlib")
        packed = fields.take(fields.varint(len(stored), "the length of the rest"))
        frame = Fields(unpack_bytes(packed, file_bytes + len(stored) + MAX_RAW_BYTES // 16))
        rest = Fields(frame.take(frame.varint(what="the length of the rest")))
        after = frame.rest()
        before = rest.take(rest.varint(what="the bytes before the pixels"))
        lengths = [rest.varint(file_bytes, "a chunk's length") for _ in range(rest.varint(rest.left, "chunks"))]
        head = rest.take(2)
        png = _header_of(before)
        filtered = _filtered(png, coding, rest.rest(), fields.rest(), max_pixels)
        if not zlib_is_reference():
            raise PackageMissing(
                "a PNG file is made again by zlib 1.2.11 to 1.3.1, and this Python has another one: use another Python"
            )
        deflated = Deflate(level, strategy, window, memory).compress(filtered)
        stream = head + deflated + struct.pack(">I", zlib.adler32(filtered))
        check(sum(lengths) == len(stream), f"chunks of {sum(lengths)} bytes for {len(stream)}")
        return b"".join([before, *_cut(stream, lengths), after])


def _cut(stream: bytes, lengths: list[int]) -> Iterator[bytes]:
    at = 0
    for length in lengths:
        yield chunk(b"IDAT", stream[at : at + length])
        at += length


def _framing(data: bytes) -> tuple[bytes, list[int], bytes] | None:
    """Return all before the IDAT chunks of a PNG file, their lengths, and all behind; None if they are not in a row."""
    at, lengths, first = len(SIGNATURE), list[int](), 0
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IDAT":
            first = first or at
            lengths.append(size)
        elif lengths:
            break
        at += 12 + size
    return (data[:first], lengths, data[at:]) if first and at <= len(data) else None


def _settings_of(stream: bytes, data: bytes) -> Deflate | None:
    """Find the settings with which zlib makes a stream of the data; None without any."""
    body, start = stream[2:-4], data[:TRIED_BYTES]
    windows = dict.fromkeys((max(9, (stream[0] >> 4) + 8) if stream[0] >> 4 < 8 else 15, 15))
    for window in windows:
        for strategy in STRATEGIES:
            for level in LEVELS:
                for memory in MEMORY_LEVELS:
                    tried = Deflate(level, strategy, window, memory)
                    if body.startswith(tried.begins(start)) and tried.compress(data) == body:
                        return tried
    return None


def _header_of(before: bytes) -> PngFile:
    """Return the header of a PNG file, given all before its pixels. Raises ``InvalidField``."""
    try:
        png = parse_png(before[:_HEADER_END] + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    except BadFile as error:
        raise InvalidField(str(error)) from error
    check(not png.interlaced, "it is interlaced")
    return png


def _filtered(png: PngFile, coding: int, kinds: bytes, coded: bytes, max_pixels: int) -> bytes:
    """Return the filtered rows of a PNG file. Raises ``InvalidField`` and ``PictureTooLarge``."""
    size = (png.row_bytes + 1) * png.height
    check(size <= MAX_RAW_BYTES, f"rows of {size} bytes")
    if coding == ROWS:
        check(not kinds, "filters that lie in the rows too")
        filtered = unpack_bytes(coded, size)
        check(len(filtered) == size, f"{len(filtered)} bytes of rows, not {size}")
        return filtered
    check(len(kinds) == png.height and max(kinds) <= _PAETH, "one filter a row")
    plain = _as_samples(png)
    check_jpeg_xl(coded, max_pixels, (plain.width, plain.height))
    try:
        samples = np.asarray(imagecodecs.jpegxl_decode(coded))
    except Exception as error:
        raise InvalidField(f"its samples: {error}") from error
    wanted = (plain.height, plain.width, _CHANNELS[plain.colour_type])
    check(samples.dtype.itemsize * 8 == plain.depth and samples.size == np.prod(wanted), "samples of another kind")
    in_order = np.ascontiguousarray(samples.reshape(wanted), ">u2" if plain.depth == 16 else np.uint8)
    rows = in_order.view(np.uint8).reshape(png.height, png.row_bytes)
    return _filter(rows, np.frombuffer(kinds, np.uint8), max(1, _CHANNELS[plain.colour_type] * plain.depth // 8))


def _as_samples(png: PngFile) -> PngFile:
    """Return the file with its rows' bytes as gray samples where its own samples are smaller, or numbers of colours."""
    if png.colour_type in _CHANNELS and png.depth in _BY_SAMPLES:
        return png
    return replace(png, width=png.row_bytes, depth=8, colour_type=_GRAY)


def _jpeg_xl_of(png: PngFile) -> bytes | None:
    """Return the samples of a PNG file as lossless JPEG XL; None if they cannot be read."""
    plain = replace(_as_samples(png), palette=b"", transparency=None, exif=())
    try:
        samples = np.asarray(imagecodecs.png_decode(plain_png(plain)))
        return bytes(imagecodecs.jpegxl_encode(samples, effort=EFFORT, lossless=True, usecontainer=False))
    except Exception:  # noqa: BLE001 - libpng refuses a PNG file, or libjxl its samples, in their own ways
        return None


def _filter(rows: Bytes, kinds: Bytes, step: int) -> bytes:
    """Filter rows (H, B), each by its kind, ``step`` bytes a pixel; return them with the kind in a byte before each."""
    height, width = rows.shape
    result = np.empty((height, width + 1), np.uint8)
    result[:, 0] = kinds
    above = np.concatenate([np.zeros((1, width), np.uint8), rows[:-1]])
    for kind in np.unique(kinds).tolist():
        chosen = kinds == kind
        result[chosen, 1:] = rows[chosen] - _predicted(kind, rows[chosen], above[chosen], step)
    return result.tobytes()


def _predicted(kind: int, rows: Bytes, above: Bytes, step: int) -> Bytes:
    """Return what a kind of filter predicts for each byte of some rows."""
    if kind == _NONE:
        return np.zeros_like(rows)
    if kind == _UP:
        return above
    left = _moved(rows, step)
    if kind == _SUB:
        return left
    if kind == _AVERAGE:
        return ((left.astype(np.uint16) + above) // 2).astype(np.uint8)
    a, b, c = (values.astype(np.int16) for values in (left, above, _moved(above, step)))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    return nearest.astype(np.uint8)


def _moved(rows: Bytes, step: int) -> Bytes:
    moved = np.zeros_like(rows)
    moved[:, step:] = rows[:, :-step]
    return moved


@cache
def zlib_is_reference() -> bool:
    """Return whether this zlib deflates as those that PNG files are made by, which zlib-ng for one does not."""
    return reference_digest() == REFERENCE_SHA256


def reference_digest() -> str:
    """Return the SHA-256 of what this zlib makes of a text at all levels and strategies."""
    text = _reference_text()
    digest = hashlib.sha256()
    for level in range(1, 10):
        for strategy in STRATEGIES:
            digest.update(Deflate(level, strategy, 15, 8).compress(text))
    return digest.hexdigest()


def _reference_text() -> bytes:
    number, text = 1, bytearray()
    while len(text) < 1 << 16:
        number = number * 1103515245 + 12345 & 0x7FFFFFFF
        text += bytes([number >> 16 & 15]) * (1 + (number >> 24) % 5) + text[-40:-20] * (number >> 28 == 3)
    return bytes(text)
