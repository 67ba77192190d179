"""Context model of a function's integers, in integer arithmetic: predicts a mean and a scale class for each value.

Products run in float64, and only where every partial sum is an integer below 2^53, so the results are exact everywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.overfitted.function_shape import FRACTION_BITS, FunctionShape
from unicorn_codec.overfitted.laplace_tables import FRACTIONS, SCALE_CLASSES
from unicorn_codec.overfitted.value_layout import ValueLayout

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_NEIGHBOUR = 255
"""Limit of the magnitudes that enter the context."""

HIDDEN_BITS = 6
"""Hidden values are integers times 2^-HIDDEN_BITS."""

HIDDEN_LIMIT = (1 << 20) - 1
LARGEST_VALUE = (1 << 15) - 1
"""Limit of the magnitudes of values, and of predicted means."""

_SUM_BITS = FRACTION_BITS + HIDDEN_BITS
_DROPPED = FRACTION_BITS - HIDDEN_BITS


@dataclass(frozen=True)
class IntegerContext:
    """Integer weights of a function's context model, in units of 2^-12.

    Args:
        first: (8, 8) from the neighbours; first_bias: (8,).
        second: (8, 8) from the hidden values, whose own value is added; second_bias: (8,).
        out: (2, 8) to mean and scale class; out_bias: (P, 2), for each plane.
    """

    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats
    out: Floats
    out_bias: Floats

    @classmethod
    def of(cls, shape: FunctionShape, parameters: Integers) -> "IntegerContext":
        """Return the context model among a function's parameters, (K,)."""
        named = {name: values.astype(np.float64) for name, values in shape.named(parameters).items()}
        return cls(
            named["context_first_weight"],
            named["context_first_bias"],
            named["context_second_weight"],
            named["context_second_bias"],
            named["context_out_weight"],
            named["context_out_bias"],
        )

    def predict(self, neighbours: Integers, planes: Integers) -> tuple[Integers, Integers]:
        """Predict values from their neighbours.

        Args:
            neighbours: (8, n) values.
            planes: (n,) numbers of the values' planes.

        Returns:
            (n,) means in units of 1 / FRACTIONS, and (n,) scale classes.
        """
        known = np.clip(neighbours, -MAX_NEIGHBOUR, MAX_NEIGHBOUR).astype(np.float64)
        sums = self.first @ known + self.first_bias[:, None]
        hidden = np.clip(np.floor(sums / (1 << _DROPPED)), 0, HIDDEN_LIMIT)
        sums = self.second @ hidden + self.second_bias[:, None] * (1 << HIDDEN_BITS) + hidden * (1 << FRACTION_BITS)
        hidden = np.clip(np.floor(sums / (1 << FRACTION_BITS)), 0, HIDDEN_LIMIT)
        mean, scale = self.out @ hidden + self.out_bias[planes].T * (1 << HIDDEN_BITS)
        half = 1 << (_SUM_BITS - 1)
        means = np.floor((FRACTIONS * mean + half) / (1 << _SUM_BITS))
        classes = np.floor((scale + half) / (1 << _SUM_BITS))
        limit = FRACTIONS * LARGEST_VALUE
        return np.clip(means, -limit, limit).astype(np.int64), np.clip(classes, 0, SCALE_CLASSES - 1).astype(np.int64)


def predict_all(context: IntegerContext, layout: ValueLayout, values: Integers) -> tuple[Integers, Integers]:
    """Predict all values (N,) at once, in the order of coding. Returns means and scale classes, (N,) each."""
    buffer = np.zeros(layout.buffer_size, np.int64)
    buffer[layout.places] = values
    order = layout.order
    return context.predict(buffer[layout.neighbours(order)], layout.plane_numbers[order])
