"""Importance of cells: a mask becomes octaves of quantisation steps, and weights of distortion.

White weighs 16, black a quarter, and grays between by powers of four. A weight of four halves the step of a cell.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.cell_map import Offsets
from unicorn_codec.packing.masks import Mask

FINEST_OCTAVE, COARSEST_OCTAVE = -2, 1
"""Octaves by which the steps of the most and the least important cells differ from the picture's."""

PLAIN_GRAY = 85
"""The gray of weight 1: pictures without a mask are all of it."""

OFFSETS_PER_OCTAVE = 4

Octaves = NDArray[np.int8]
"""(..., h, w), ``FINEST_OCTAVE`` to ``COARSEST_OCTAVE``."""

_GRAYS = np.arange(256) / 255
WEIGHTS = (4.0 ** -(COARSEST_OCTAVE + _GRAYS * (FINEST_OCTAVE - COARSEST_OCTAVE))).astype(np.float32)
"""Weight of each gray."""


def octaves_of(mask: Mask, cell: int) -> Octaves:
    """Return the octave of each cell: that of the mean weight of its pixels.

    Args:
        cell: pixels of a cell's side.
    """
    height, width = mask.shape
    lefts = np.arange(0, width, cell)
    weights = np.empty((-(-height // cell), len(lefts)))
    for number in range(len(weights)):  # a band at a time, which bounds memory
        band = WEIGHTS[mask[number * cell : (number + 1) * cell]]
        weights[number] = np.add.reduceat(band.mean(0, dtype=np.float64), lefts)
    weights /= np.diff(np.append(lefts, width))
    return np.clip(np.rint(-np.log2(weights) / 2), FINEST_OCTAVE, COARSEST_OCTAVE).astype(np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class CellImportance:
    """Importance of the cells of N pictures of one size.

    Args:
        octaves: (N, h, w), which weigh distortion.
        offsets: (N, h, w) of the cells' steps, as codes hold them, see ``cell_map``.
    """

    octaves: Octaves
    offsets: Offsets

    def __getitem__(self, part: Any) -> "CellImportance":
        """Return the importance of some pictures, or of a part of each."""
        return CellImportance(self.octaves[part], self.offsets[part])


def offsets_of(octaves: Octaves, step: float, finest: float, coarsest: float) -> Offsets:
    """Return the offsets of the cells' steps, within the steps that the autoencoder was trained for.

    Args:
        step: of the picture's latents.
        finest, coarsest: steps that an offset leads no further than.
    """
    least = min(0, math.ceil(OFFSETS_PER_OCTAVE * math.log2(finest / step)))
    most = max(0, math.floor(OFFSETS_PER_OCTAVE * math.log2(coarsest / step)))
    return np.clip(octaves * OFFSETS_PER_OCTAVE, least, most).astype(np.int8)


def weight_of(octave: int) -> float:
    """Return the weight of the distortion of cells."""
    return float(4.0**-octave)
