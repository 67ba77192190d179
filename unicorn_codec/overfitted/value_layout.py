"""Order in which the integers of a function are coded: diagonals of all planes at once.

A value depends on neighbours to the left in its row, and in the row above on those up to one column to the right.
So all values with the same column + 2 row can be decoded together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.fields import check
from unicorn_codec.format.function_table import NEIGHBOURS
from unicorn_codec.format.limits import MAX_FUNCTION_VALUES

Integers = NDArray[np.int64]

MARGIN = 2
"""Zeros above, to the left and to the right of a plane in the flat buffer: what its neighbours reach."""


@dataclass(frozen=True)
class ValueLayout:
    """Layout of the planes of a function for latents of some rows and columns.

    Args:
        rows, columns: of the latents.
        planes: number of planes of each level.

    Raises:
        InvalidSetting: there are more than ``MAX_FUNCTION_VALUES`` values.
    """

    rows: int
    columns: int
    planes: tuple[int, ...]

    def __post_init__(self) -> None:
        check(
            self.count <= MAX_FUNCTION_VALUES,
            f"a function of {self.count} values, allowed are {MAX_FUNCTION_VALUES}",
        )

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Rows and columns of the planes of each level."""
        return [(-(-self.rows >> level), -(-self.columns >> level)) for level in range(len(self.planes))]

    @property
    def counts(self) -> list[int]:
        """Number of values of each level."""
        return [planes * rows * columns for planes, (rows, columns) in zip(self.planes, self.sizes, strict=True)]

    @property
    def count(self) -> int:
        """Number of values, N."""
        return sum(self.counts)

    @property
    def buffer_size(self) -> int:
        """Size of the flat buffer of all planes with their margins."""
        return sum(
            planes * (rows + MARGIN) * (columns + 2 * MARGIN)
            for planes, (rows, columns) in zip(self.planes, self.sizes, strict=True)
        )

    @cached_property
    def places(self) -> Integers:
        """(N,): places of the values in the flat buffer, by level, plane, row and column."""
        return np.concatenate(list(self._places()))

    @cached_property
    def strides(self) -> Integers:
        """(N,): distance of the rows of each value's plane in the flat buffer."""
        strides = [columns + 2 * MARGIN for _, columns in self.sizes]
        return np.repeat(strides, self.counts)

    @cached_property
    def plane_numbers(self) -> Integers:
        """(N,): number of each value's plane, over all levels."""
        cells = [rows * columns for rows, columns in self.sizes]
        return np.repeat(np.arange(sum(self.planes)), np.repeat(cells, self.planes))

    @cached_property
    def order(self) -> Integers:
        """(N,): the values in the order of coding: by diagonal, then by level, plane and row."""
        return np.argsort(self._diagonals, kind="stable")

    @cached_property
    def wave_ends(self) -> Integers:
        """(diagonals,): number of values up to the end of each diagonal."""
        return np.cumsum(np.bincount(self._diagonals))

    def waves(self) -> Iterator[Integers]:
        """Yield the numbers of the values of each diagonal."""
        start = 0
        for end in self.wave_ends.tolist():
            yield self.order[start:end]
            start = end

    def neighbours(self, values: Integers) -> Integers:
        """Return the places of the neighbours of some values in the flat buffer, (8, n)."""
        places, strides = self.places[values], self.strides[values]
        return np.stack([places + row * strides + column for row, column in NEIGHBOURS])

    @cached_property
    def _diagonals(self) -> Integers:
        parts = []
        for planes, (rows, columns) in zip(self.planes, self.sizes, strict=True):
            diagonals = (np.arange(columns) + 2 * np.arange(rows)[:, None]).ravel()
            parts.append(np.tile(diagonals, planes))
        return np.concatenate(parts)

    def _places(self) -> Iterator[Integers]:
        start = 0
        for planes, (rows, columns) in zip(self.planes, self.sizes, strict=True):
            stride = columns + 2 * MARGIN
            for _ in range(planes):
                first = start + MARGIN * stride + MARGIN
                yield (first + np.arange(columns) + stride * np.arange(rows)[:, None]).ravel()
                start += (rows + MARGIN) * stride
