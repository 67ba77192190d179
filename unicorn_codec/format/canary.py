"""Canary: block sums of a decoded picture, stored in the file, which detect a decoder that computes other pixels.

Weights and codes decode bit-exactly. The autoencoder uses floating point, and another version of a library could
compute different results from the same weights.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.fields import Fields, check, varint
from unicorn_codec.format.limits import MAX_PICTURES

CANARY_TOLERANCE = 32
"""Tolerance of a sum, two levels on average, which rounding does not reach."""

_BLOCK = 4
_BLOCKS = 4
_SUMS = _BLOCKS * _BLOCKS
_LARGEST = 255 * _BLOCK * _BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Block sums of a picture as decoded when packed.

    Args:
        index: the picture's index.
        sums: result of ``block_sums``.
    """

    index: int
    sums: tuple[int, ...]

    def __post_init__(self) -> None:
        check(len(self.sums) == _SUMS, f"a canary has {_SUMS} sums, not {len(self.sums)}")
        highest = max(self.sums)
        check(highest <= _LARGEST, f"a block's sum is {highest}, at most {_LARGEST} are possible")

    def difference(self, pixels: NDArray[np.uint8]) -> float:
        """Return the largest difference of a block's mean, in levels, from decoded pixels."""
        return max(abs(a - b) for a, b in zip(self.sums, block_sums(pixels), strict=True)) / _BLOCK**2

    def agrees(self, pixels: NDArray[np.uint8]) -> bool:
        """Return whether decoded pixels match, up to the tolerance."""
        return self.difference(pixels) <= CANARY_TOLERANCE / _BLOCK**2


def block_sums(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Sum 4x4 pixels at the centre of each of 4x4 parts of a picture, over one colour in turn.

    Args:
        pixels: (H, W, 3), or (H, W, 4), whose opacity does not count.
    """
    rows, columns = (_places(side) for side in pixels.shape[:2])
    blocks = pixels[..., :3][rows[:, None, :, None], columns[None, :, None, :]].sum(axis=(2, 3), dtype=np.int64)
    return tuple(int(sums[k % 3]) for k, sums in enumerate(blocks.reshape(_SUMS, 3)))


def _places(side: int) -> NDArray[np.int64]:
    """Return (4, 4) rows or columns of the blocks, clipped to the picture."""
    middles = (2 * np.arange(_BLOCKS) + 1) * side // (2 * _BLOCKS)
    return np.clip(middles[:, None] + np.arange(_BLOCK) - _BLOCK // 2, 0, side - 1)


def serialize_canary(canary: Canary) -> bytes:
    """Write a canary as stored in the footer."""
    return varint(canary.index) + struct.pack(f"<{_SUMS}H", *canary.sums)


def take_canary(fields: Fields) -> Canary:
    """Read a canary from the footer. Raises ``InvalidField`` and ``InvalidSetting``."""
    index = fields.varint(MAX_PICTURES - 1, "a canary's index")
    return Canary(index=index, sums=fields.numbers(f"{_SUMS}H"))
