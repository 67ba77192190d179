"""Band-wise reduction of large pictures that are scaled down, so that they are never in memory as a whole."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.raster import Samples

LARGE_PIXELS = 1 << 25
"""Smaller pictures are decoded whole, and scaled by Lanczos only."""


def reduction(width: int, height: int, options: ReadOptions) -> int:
    """Return the integer factor by which a picture is reduced while it is read; 1 if it is decoded whole.

    The result is at least twice the final size, so that its sharpness is that of the Lanczos filter.
    """
    longest = max(width, height)
    if not options.max_side or width * height <= min(LARGE_PIXELS, options.max_pixels):
        return 1
    return max(1, longest // (2 * options.max_side))


class Reducer:
    """Averages squares of ``factor`` x ``factor`` samples, from bands of rows, including partial squares at the edges.

    >>> reducer = Reducer(2)
    >>> reducer.add(np.array([[[0], [4], [10]]], np.uint8))
    >>> reducer.add(np.array([[[4], [8], [20]]], np.uint8))
    >>> reducer.samples()[..., 0].tolist()
    [[4, 15]]
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._rows: list[Samples] = []
        self._pending: Samples | None = None

    def add(self, band: Samples) -> None:
        """Add the next rows, (h, W, C)."""
        rows = band if self._pending is None else np.concatenate((self._pending, band))
        whole = len(rows) // self._factor * self._factor
        self._pending = rows[whole:].copy()
        if whole:
            self._rows.append(self._averaged(rows[:whole]))

    def samples(self) -> Samples:
        """Return the reduced rows in the type of the input."""
        if self._pending is not None and len(self._pending):
            self._rows.append(self._averaged(self._pending))
            self._pending = None
        return np.concatenate(self._rows)

    def _averaged(self, rows: Samples) -> Samples:
        factor, (height, width, channels) = self._factor, rows.shape
        filled = np.pad(rows, ((0, -height % factor), (0, -width % factor), (0, 0)))
        squares = filled.reshape(-(-height // factor), factor, -1, factor, channels)
        sums = squares.sum(axis=1, dtype=np.float32).sum(axis=2)
        means: NDArray[np.float32] = sums / _counts(height, factor)[:, None, None] / _counts(width, factor)[:, None]
        return means if rows.dtype.kind == "f" else np.rint(means).astype(rows.dtype)


def reduced(bands: Iterable[Samples], factor: int) -> Samples:
    """Reduce a picture given as bands of rows."""
    reducer = Reducer(factor)
    for band in bands:
        reducer.add(band)
    return reducer.samples()


def _counts(length: int, factor: int) -> NDArray[np.float32]:
    """Samples that each mean is of: fewer at the end."""
    return np.minimum(factor, length - np.arange(0, length, factor)).astype(np.float32)
