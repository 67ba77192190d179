"""Update of the context model: gains of its inputs and outputs, and shifts of its small tensors.

The update is part of an archive (see ``folder_update``). It is applied to the integer weights in arithmetic that gives
the same integers on every machine, and to their floating-point counterparts while it is learned.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unicorn_codec.codes.context_model import PASSES, ContextModel, Floats, fraction_bits

if TYPE_CHECKING:  # at run time they would load torch, which readers of thumbnails do without
    from torch import Tensor

    from unicorn_codec.codes.rate_model import RateModel

Array = TypeVar("Array", Floats, "Tensor")

SHIFTED = ("bias", "linear", "mean", "scale", "mean_bias", "scale_bias")
"""Tensors that an update shifts. The biases of all levels are shifted alike."""

LARGEST_KERNEL, LARGEST_BIAS = (1 << 15) - 1, (1 << 30) - 1
"""Limits of the updated integer weights. Within them, all sums of the context model are exact."""


def context_update_shapes(channels: int, hidden: int) -> dict[str, tuple[int, int]]:
    """Return rows and columns of the update's tensors, in the order of the file.

    Args:
        channels, hidden: C and H of the context model.
    """
    passes = len(PASSES)
    return {
        "earlier_in": (1, channels * 18),
        "earlier_out": (1, channels * hidden),
        "bias": (passes, channels * hidden),
        "linear": (passes, channels * 9),
        "mean": (1, channels * hidden),
        "scale": (1, channels * hidden),
        "mean_bias": (passes, channels),
        "scale_bias": (passes, channels),
    }


def updated_model(model: ContextModel, update: Mapping[str, Floats]) -> ContextModel:
    """Return the integer model with an update applied, rounded to integers and limited."""
    own: dict[str, Floats] = {name: getattr(model, name).astype(np.float64) for name in ("earlier", *SHIFTED)}
    integers: dict[str, Any] = {}
    for name, values in _updated(own, update, {name: 2.0 ** fraction_bits(name) for name in SHIFTED}).items():
        limit = LARGEST_BIAS if name.endswith("bias") else LARGEST_KERNEL
        integers[name] = np.clip(np.rint(values), -limit, limit).astype(getattr(model, name).dtype)
    return replace(model, **integers)


def updated_rate_parameters(rate: "RateModel", update: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Return the parameters of the floating-point model with an update applied, differentiable by the update."""
    own: dict[str, Tensor] = {name: getattr(rate, name) for name in ("earlier", *SHIFTED)}
    return _updated(own, update, dict.fromkeys(SHIFTED, 1.0))


def _updated(own: Mapping[str, Array], update: Mapping[str, Array], units: Mapping[str, float]) -> dict[str, Array]:
    """Return updated weights.

    Args:
        own: weights of the model.
        units: what 1 is in units of each tensor's weights.
    """
    channels, places, _, hidden = own["earlier"].shape
    gain_out = 1 + update["earlier_out"].reshape(1, 1, channels, hidden)
    gain_in = 1 + update["earlier_in"].reshape(channels, places, 1, 1)
    updated: dict[str, Array] = {"earlier": own["earlier"] * gain_out * gain_in}
    for name in SHIFTED:
        # The biases have a first axis for the level, which the shift has not.
        shape = own[name].shape[1:] if name.endswith("bias") else own[name].shape
        updated[name] = own[name] + update[name].reshape(shape) * units[name]
    return updated
