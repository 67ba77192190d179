"""Symbol frequencies of quantised weights: integer tables of a discrete logistic distribution for each scale class.

From class to class the scale rises by a quarter octave. Large scales share the tables of the four largest small ones:
the low bits of such weights, which are nearly uniform, are split off and stored raw.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.rans import PRECISION

REACH = 24
ESCAPE = 2 * REACH + 1
"""Symbol of a value that is further from 0 than ``REACH``."""

DECAYS = (
    189236, 386272, 703845, 1165739, 1781813, 2545695, 3436358, 4422426, 5467528, 6535264,
    7592926, 8613710, 9577572, 10471081, 11286636, 12021401, 12676159, 13254267, 13760753, 14201607,
)  # fmt: skip
"""2^24 exp(-1 / 2s) of each table, for the scales s = 3 * 2^((table - 19) / 4)."""

_DECAY_BITS = 24
_LARGEST_SCALE = 3.0
_CLASSES_PER_OCTAVE = 4
_MAX_SHIFT = 12

TABLE_COUNT = len(DECAYS)
CLASS_COUNT = TABLE_COUNT + _CLASSES_PER_OCTAVE * _MAX_SHIFT

Integers = NDArray[np.int64]


def table_of_class(classes: Integers) -> Integers:
    """Return the table of each class."""
    first_shared = TABLE_COUNT - _CLASSES_PER_OCTAVE
    return np.where(classes < TABLE_COUNT, classes, first_shared + classes % _CLASSES_PER_OCTAVE)


def shift_of_class(classes: Integers) -> Integers:
    """Return the number of low bits that are split off the weights of each class."""
    return np.maximum(0, classes // _CLASSES_PER_OCTAVE - TABLE_COUNT // _CLASSES_PER_OCTAVE + 1)


def class_of_scale(scales: NDArray[np.floating]) -> Integers:
    """Return the class nearest to each scale of a logistic distribution."""
    quarters = _CLASSES_PER_OCTAVE * np.log2(np.maximum(scales.astype(np.float64) / _LARGEST_SCALE, 2.0**-32))
    return np.clip(np.rint(TABLE_COUNT - 1 + quarters), 0, CLASS_COUNT - 1).astype(np.int64)


def _frequencies(decay: int) -> list[int]:
    """Return the slots of the symbols -``REACH`` to ``REACH``, then of the escape."""
    shared = (1 << PRECISION) - ESCAPE - 1  # each symbol has one slot, and its share of these
    squared, power = decay * decay >> _DECAY_BITS, decay
    tails = []
    for _ in range(REACH + 1):
        tails.append(shared * power // ((1 << _DECAY_BITS) + power))
        power = power * squared >> _DECAY_BITS
    side = [1 + inner - outer for inner, outer in pairwise(tails)]
    return [*reversed(side), 1 + shared - 2 * tails[0], *side, 1 + 2 * tails[-1]]


SYMBOL_FREQUENCIES: NDArray[np.int64] = np.array([_frequencies(decay) for decay in DECAYS], np.int64)
"""(TABLE_COUNT, ESCAPE + 1): slots of each symbol."""

SYMBOL_STARTS: NDArray[np.int64] = np.cumsum(SYMBOL_FREQUENCIES, axis=1) - SYMBOL_FREQUENCIES
"""(TABLE_COUNT, ESCAPE + 1): first slot of each symbol."""

SYMBOL_BITS: NDArray[np.float64] = PRECISION - np.log2(SYMBOL_FREQUENCIES)
"""(TABLE_COUNT, ESCAPE + 1): bits that each symbol takes. Only the encoder's choices depend on them."""

SLOT_SYMBOLS: NDArray[np.uint8] = np.stack(
    [np.repeat(np.arange(ESCAPE + 1, dtype=np.uint8), table.astype(np.int64)) for table in SYMBOL_FREQUENCIES]
)
"""(TABLE_COUNT, slots): symbol that owns each slot."""
