"""Symbol frequencies of a function's integers: tables of a discrete Laplace distribution, in integer arithmetic.

Scale class q stands for the scale 2^((q - 16) / 4). A table is chosen by scale class and fraction of the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.rans import PRECISION, TOTAL, SymbolTables

Integers = NDArray[np.int64]

FRACTIONS = 8
"""Means are multiples of 1 / FRACTIONS."""

REACH = 31
"""Largest distance from the integer part of the mean at which a value has a symbol of its own."""

ESCAPE = 2 * REACH + 1
"""Symbol of other values, which 16 raw bits follow."""

DECAYS = (
    145315154, 199759078, 261044606, 326914198, 395007542, 463130302, 529428476, 592470630, 651257337,
    705182512, 753969162, 797596699, 836230973, 870163178, 899760092, 925425813, 947573834, 966607779,
    982908970, 996829173, 1008687096, 1018767490, 1027321989, 1034571010, 1040706261, 1045893524, 1050275481,
    1053974460, 1057095000, 1059726201, 1061943836, 1063812229, 1065385899, 1066710993, 1067826536, 1068765495,
)  # fmt: skip
"""2^30 exp(-1 / (8 s)) for the scale s of each class."""

SCALE_CLASSES = len(DECAYS)
CLASSES_PER_OCTAVE = 4
UNIT_SCALE_CLASS = 16
"""Class of the scale 1."""

_DECAY_BITS = 30
_SHARED = TOTAL - ESCAPE - 1
"""Slots that are shared by probability; each symbol has one more."""


def _table(decay: int, fraction: int) -> list[int]:
    """Return the slots of the symbols of a table."""
    powers = [1 << _DECAY_BITS]
    for _ in range(FRACTIONS * (REACH + 1) + FRACTIONS):
        powers.append(powers[-1] * decay >> _DECAY_BITS)

    def below(edge: int) -> int:
        """Return the shared slots below a distance from the mean, in 1 / FRACTIONS."""
        tail = _SHARED * powers[abs(edge)] >> _DECAY_BITS + 1
        return tail if edge <= 0 else _SHARED - tail

    edges = [below(FRACTIONS * symbol - FRACTIONS // 2 - fraction) for symbol in range(-REACH, REACH + 2)]
    own = [1 + upper - lower for lower, upper in pairwise(edges)]
    return [*own, 1 + edges[0] + _SHARED - edges[-1]]


@dataclass(frozen=True)
class LaplaceTables:
    """The tables of all scale classes and fractions, and one more, whose first symbol owns all slots.

    The attributes are those that coding of symbols needs; see ``latent_coding.SymbolModel``.
    """

    frequencies: Integers

    @property
    def fractions(self) -> int:
        """Fractions of a mean."""
        return FRACTIONS

    @property
    def reach(self) -> int:
        """Reach of the symbols."""
        return REACH

    @property
    def escape(self) -> int:
        """The escape symbol."""
        return ESCAPE

    @cached_property
    def starts(self) -> Integers:
        """First slot of each symbol, table by table."""
        starts = np.cumsum(self.frequencies, axis=-1) - self.frequencies
        return np.append(starts.ravel(), np.zeros(ESCAPE + 1, np.int64))

    @cached_property
    def widths(self) -> Integers:
        """Number of slots of each symbol, table by table."""
        silent = np.zeros(ESCAPE + 1, np.int64)
        silent[0] = TOTAL
        return np.append(self.frequencies.ravel(), silent)

    @cached_property
    def symbol_of_slot(self) -> NDArray[np.uint8]:
        """Symbol that owns each slot, 2^PRECISION slots a table."""
        return np.repeat(np.tile(np.arange(ESCAPE + 1, dtype=np.uint8), len(self.widths) // (ESCAPE + 1)), self.widths)

    @cached_property
    def symbol_tables(self) -> SymbolTables:
        """The tables as Python reads them fastest."""
        starts: Sequence[int] = self.starts.tolist()
        widths: Sequence[int] = self.widths.tolist()
        return SymbolTables(symbol_of_slot=self.symbol_of_slot.data, starts=starts, widths=widths, escape=ESCAPE)

    @cached_property
    def bits(self) -> NDArray[np.float64]:
        """(SCALE_CLASSES, ESCAPE + 1): bits of each symbol at means without fraction, escapes with their raw bits."""
        bits = PRECISION - np.log2(self.frequencies[:, 0])
        bits[:, ESCAPE] += 16
        return np.asarray(bits)


@cache
def laplace_tables() -> LaplaceTables:
    """Return the tables."""
    return LaplaceTables(
        np.array([[_table(decay, fraction) for fraction in range(FRACTIONS)] for decay in DECAYS], np.int64)
    )
