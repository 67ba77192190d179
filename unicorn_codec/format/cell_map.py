"""Cell maps: codes of latents in which each cell has a quantisation step of its own.

Layout: ``format_spec/uni-1.md``, "Cell maps".
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.code_kinds import AVIF, GRAY, HALF_LEVELS, MAPPED
from unicorn_codec.format.fields import Fields, varint
from unicorn_codec.format.header import MAX_LEVEL

MOST_OFFSET = 32
"""Largest magnitude of an offset: a cell's step is 2^(offset / 4) times that of the code."""

Offsets = NDArray[np.int8]


def mark_mapped(code: bytes, offsets: Offsets) -> bytes:
    """Return a code of latents with the offsets (h, w) of its cells."""
    return bytes([AVIF, MAPPED, code[0]]) + serialize_map(offsets) + code[1:]


def unmark_mapped(code: bytes, rows: int, columns: int) -> tuple[bytes, Offsets]:
    """Return the code of latents and the offsets (rows, columns) in a code with a cell map.

    The inverse of ``mark_mapped``. Raises ``InvalidField`` if the map is cut, or does not fill the grid.
    """
    fields = Fields(code, 2)
    first = fields.take(1)
    if first[0] in (GRAY, AVIF):
        raise InvalidField(f"a cell map of a code that begins with {first[0]}: it has to be one of latents")
    offsets = take_map(fields, rows, columns)
    return first + fields.rest(), offsets


def serialize_map(offsets: Offsets) -> bytes:
    """Write offsets (h, w): bands of equal rows, and the runs of equal cells of each."""
    data = bytearray()
    for start, stop in _equal(offsets):
        data += varint(stop - start)
        for left, right in _equal(offsets[start]):
            data += varint(right - left) + bytes([int(offsets[start, left]) + MOST_OFFSET])
    return bytes(data)


def take_map(fields: Fields, rows: int, columns: int) -> Offsets:
    """Read offsets (rows, columns); the inverse of ``serialize_map``. Raises ``InvalidField``."""
    offsets = np.zeros((rows, columns), np.int8)
    top = 0
    while top < rows:
        band = slice(top, top + _take_length(fields, rows - top, "rows of a cell map"))
        left = 0
        while left < columns:
            run = slice(left, left + _take_length(fields, columns - left, "cells of a cell map"))
            offset = fields.take(1)[0] - MOST_OFFSET
            if offset > MOST_OFFSET:
                raise InvalidField(f"a cell's offset of {offset}, allowed are at most {MOST_OFFSET}")
            offsets[band, run] = offset
            left = run.stop
        top = band.stop
    return offsets


def _equal(lines: Offsets) -> list[tuple[int, int]]:
    """Return first and last, exclusive, of each run of equal entries along the first axis."""
    changes = (lines[1:] != lines[:-1]).any(axis=tuple(range(1, lines.ndim)))
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(lines)]
    return list(pairwise(edges))


def _take_length(fields: Fields, most: int, what: str) -> int:
    length = fields.varint(most, what)
    if length == 0:
        raise InvalidField(f"no {what}, where at least one is due")
    return length


def cell_steps(step: float, offsets: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the quantisation step of each cell.

    Args:
        step: of the code, see ``code_kinds.decoder_step``.
    """
    return (step * np.exp2(offsets / 4)).astype(np.float32)


def cell_levels(level: int, offsets: NDArray[np.integer], *, half: bool) -> NDArray[np.int64]:
    """Return the level that conditions the context model in each cell.

    Args:
        level: of the decoder.
        half: whether the code is one of half size.
    """
    return np.clip(level + offsets.astype(np.int64) - HALF_LEVELS * half, 0, MAX_LEVEL - 1)
