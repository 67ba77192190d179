"""PNG files of pixels, compressed by libdeflate: more than twice as fast as zlib's level 4, for about as many bytes.

All rows have the same filter. For photographs it is the average of left and upper neighbour, which leaves less to code
than zlib finds with a filter chosen for each row; for drawings with flat areas it is none.
"""

import struct
from collections.abc import Sequence
from functools import reduce

import imagecodecs
import numpy as np

from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.png_chunks import SIGNATURE, chunk

LEVEL = 4
"""Of libdeflate, 0 to 12. Level 6 takes a third longer for 2 % fewer bytes; ``benchmarks/png_writing.py`` measures."""

FLAT_SHARE = 0.75
"""Share of pixels like their left neighbour from which rows are not filtered."""

_NONE, _AVERAGE = 0, 3
_ROWS_AT_ONCE = 256
_COLOUR_TYPES = {3: 2, 4: 6}


def encode_png(pixels: Pixels, chunks: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the bytes of a PNG file.

    Args:
        pixels: ``(H, W, 3)``, or ``(H, W, 4)`` with transparency.
        chunks: types and bodies of further chunks, which precede the pixels.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">2I5B", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    data = imagecodecs.deflate_encode(_filtered(pixels), level=LEVEL)  # type: ignore[arg-type]  # it takes any buffer
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(kind, bytes(body)) for kind, body in parts)


def _filtered(pixels: Pixels) -> Pixels:
    """Return the filtered rows, (H, 1 + W C), each with the number of its filter."""
    height, width, channels = pixels.shape
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    if is_flat(pixels):
        filtered[:, 0] = _NONE
        filtered[:, 1:] = pixels.reshape(height, -1)
        return filtered
    filtered[:, 0] = _AVERAGE
    for start in range(0, height, _ROWS_AT_ONCE):
        rows = pixels[start : start + _ROWS_AT_ONCE]
        left, up = np.zeros_like(rows), np.zeros_like(rows)
        left[:, 1:] = rows[:, :-1]
        up[1:] = rows[:-1]
        if start:
            up[0] = pixels[start - 1]
        average = (left & up) + ((left ^ up) >> 1)  # does not overflow
        filtered[start : start + len(rows), 1:] = (rows - average).reshape(len(rows), -1)
    return filtered


def is_flat(pixels: Pixels) -> bool:
    """Return whether most of the pixels, (H, W, C), are like their left neighbours."""
    alike = 0
    for start in range(0, len(pixels), _ROWS_AT_ONCE):
        rows = pixels[start : start + _ROWS_AT_ONCE]
        same = rows[:, 1:] == rows[:, :-1]
        # Six times as fast as all(axis=2).
        alike += int(np.count_nonzero(reduce(np.logical_and, np.moveaxis(same, -1, 0))))
    pairs = pixels.shape[0] * (pixels.shape[1] - 1)
    return pairs > 0 and alike / pairs >= FLAT_SHARE
