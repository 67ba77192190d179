"""Rows of a PNG file in bands. Each band is decoded as a small PNG that starts with the last row of the previous band.

A row's filter refers only to the row above it, so a known row can be stored there without a filter.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import replace

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from unicorn_codec.pictures.picture_files import DamagedFile
from unicorn_codec.pictures.png_chunks import PngFile, plain_png
from unicorn_codec.pictures.raster import Samples

BAND_SAMPLES = 1 << 22

_GRAY, _PALETTE = 0, 3


def decode_png(png: PngFile) -> Samples:
    """Return samples (H, W, C) as stored: uint16 for 16 bits, else uint8; fewer bits are the lowest ones."""
    if png.depth == 16:
        decoded = np.asarray(imagecodecs.png_decode(plain_png(replace(png, exif=()))))
        return decoded.reshape(png.height, png.width, -1)
    # Pillow would scale gray and check indices. Samples of fewer than 8 bits are therefore read as bytes of gray.
    as_bytes = png if png.colour_type not in (_GRAY, _PALETTE) else replace(png, colour_type=_GRAY, palette=b"")
    if png.depth < 8 and not png.interlaced:
        as_bytes = replace(as_bytes, depth=8, width=png.row_bytes)
    with PngImageFile(io.BytesIO(plain_png(replace(as_bytes, exif=())))) as image:
        decoded = np.asarray(image)
    if png.depth < 8 and png.interlaced:
        scaled = decoded.astype(np.uint8) * 255 if decoded.dtype == np.bool_ else decoded
        return (scaled // (255 // ((1 << png.depth) - 1)))[:, :, None]
    return unpacked(decoded, png) if png.depth < 8 else decoded.reshape(png.height, png.width, -1)


def unpacked(rows: NDArray[np.uint8], png: PngFile) -> Samples:
    """Unpack rows of bytes that hold several samples each to samples (H, W, 1)."""
    bits = np.unpackbits(rows, axis=1).reshape(len(rows), -1, png.depth)
    values = np.packbits(bits, axis=2)[:, : png.width] >> (8 - png.depth)
    return np.asarray(values)


def png_bands(png: PngFile) -> Iterator[Samples]:
    """Yield the rows of ``decode_png`` in bands, top down. The picture must not be interlaced.

    Raises:
        DamagedFile: the data ends early, or cannot be unpacked.
    """
    assert not png.interlaced, "the rows of an interlaced picture are not in order"
    size = png.row_bytes + 1
    unpacker, pending, left, above = zlib.decompressobj(), png.data, png.height, b""
    while left:
        rows = min(max(1, BAND_SAMPLES // max(size, png.width)), left)
        raw = bytearray()
        while len(raw) < rows * size and pending:
            raw += unpacker.decompress(pending, rows * size - len(raw))
            pending = unpacker.unconsumed_tail
        raw += unpacker.flush() if not pending and len(raw) < rows * size else b""
        if len(raw) < rows * size:
            raise DamagedFile("it is damaged: its picture data ends early")
        data = zlib.compress(above + bytes(raw[: rows * size]), 1)
        decoded = decode_png(replace(png, height=rows + bool(above), data=data))
        yield decoded[bool(above) :]
        above, left = b"\0" + _stored(decoded[-1], png), left - rows


def _stored(row: Samples, png: PngFile) -> bytes:
    """Return the unfiltered bytes of a row (W, C)."""
    if png.depth >= 8:
        return row.astype(">u2" if png.depth == 16 else np.uint8).tobytes()
    bits = np.unpackbits(row.astype(np.uint8), axis=1)[:, 8 - png.depth :]
    return np.packbits(bits.ravel()).tobytes()
