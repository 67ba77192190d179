"""A few sums of one decoded picture, stored in the file: a decoder that makes another picture is found out.

Weights and codes decode bit-exactly or not at all; the autoencoder behind them is floating point, and a changed
library could compute something else from the very same weights.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.fields import Fields, check, varint
from unicorn_codec.format.limits import MAX_PICTURES

CANARY_TOLERANCE = 32
"""Allowed difference of a sum: a mean of two levels, which no drift of rounding reaches."""

_BLOCK = 4
_BLOCKS = 4
_SUMS = _BLOCKS * _BLOCKS
_LARGEST = 255 * _BLOCK * _BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What the decoder that made the archive got.

    Args:
        index: of the picture.
        sums: of 16 blocks of its pixels, see ``block_sums``.
    """

    index: int
    sums: tuple[int, ...]

    def __post_init__(self) -> None:
        check(len(self.sums) == _SUMS, f"a canary has {_SUMS} sums, not {len(self.sums)}")
        highest = max(self.sums)
        check(highest <= _LARGEST, f"a block's sum is {highest}, at most {_LARGEST} are possible")

    def difference(self, pixels: NDArray[np.uint8]) -> float:
        """Largest difference of a block's mean, in levels, from the picture as it decodes now."""
        return max(abs(a - b) for a, b in zip(self.sums, block_sums(pixels), strict=True)) / _BLOCK**2

    def agrees(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether the picture as it decodes now is the one that the archive was made with."""
        return self.difference(pixels) <= CANARY_TOLERANCE / _BLOCK**2


def block_sums(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Sums of 4x4 pixels in the middle of 4x4 parts of a picture (H, W, 3), each of one of the channels in turn."""
    rows, columns = (_places(side) for side in pixels.shape[:2])
    blocks = pixels[rows[:, None, :, None], columns[None, :, None, :]].sum(axis=(2, 3), dtype=np.int64)
    return tuple(int(sums[k % 3]) for k, sums in enumerate(blocks.reshape(_SUMS, 3)))


def _places(side: int) -> NDArray[np.int64]:
    """(4, 4) rows or columns of the blocks; those beyond the edge are the edge's."""
    middles = (2 * np.arange(_BLOCKS) + 1) * side // (2 * _BLOCKS)
    return np.clip(middles[:, None] + np.arange(_BLOCK) - _BLOCK // 2, 0, side - 1)


def serialize_canary(canary: Canary) -> bytes:
    """Write a canary as it stands in the footer."""
    return varint(canary.index) + struct.pack(f"<{_SUMS}H", *canary.sums)


def take_canary(fields: Fields) -> Canary:
    """Take a canary from the footer. Raises ``InvalidField`` and ``InvalidSetting``."""
    index = fields.varint(MAX_PICTURES - 1, "a canary's index")
    return Canary(index=index, sums=fields.numbers(f"{_SUMS}H"))
