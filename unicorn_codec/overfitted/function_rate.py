"""Bits of a function's planes and parameters, as training estimates them."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unicorn_codec.format.rans import TOTAL
from unicorn_codec.overfitted.integer_context import MAX_NEIGHBOUR
from unicorn_codec.overfitted.laplace_tables import CLASSES_PER_OCTAVE, ESCAPE, SCALE_CLASSES, UNIT_SCALE_CLASS
from unicorn_codec.overfitted.value_layout import ValueLayout

USUAL_STEP = 2.0**-4
"""Step of stored parameters that training expects."""

_SHARED = 1 - (ESCAPE + 1) / TOTAL
"""Part of a table's slots that is shared by probability."""


class PlaneRate:
    """Estimates the bits of planes of one size.

    Args:
        layout: of the values.
        device: of the values.
    """

    def __init__(self, layout: ValueLayout, device: torch.device) -> None:
        in_buffer = layout.neighbours(np.arange(layout.count))
        value_at = np.full(layout.buffer_size, layout.count)  # the last value is a zero
        value_at[layout.places] = np.arange(layout.count)
        self._neighbours = torch.from_numpy(value_at[in_buffer].ravel()).to(device)
        self._planes = torch.from_numpy(layout.plane_numbers).to(device)
        self._cells = torch.from_numpy(np.bincount(layout.plane_numbers)).to(device)

    def bits(self, parameters: Mapping[str, Tensor], values: Tensor) -> Tensor:
        """Return the bits of each of B functions' planes, (B,), given values (B, N)."""
        known = F.pad(values, (0, 1)).index_select(1, self._neighbours)
        known = known.view(len(values), -1, values.shape[1]).clamp(-MAX_NEIGHBOUR, MAX_NEIGHBOUR)
        first = torch.baddbmm(parameters["context_first_bias"][..., None], parameters["context_first_weight"], known)
        first = F.relu(first)
        second = torch.baddbmm(parameters["context_second_bias"][..., None], parameters["context_second_weight"], first)
        mean, scale = torch.bmm(parameters["context_out_weight"], F.relu(second + first)).unbind(dim=1)
        biases = parameters["context_out_bias"].repeat_interleave(self._cells, dim=1, output_size=values.shape[1])
        classes = (scale + biases[..., 1]).clamp(0, SCALE_CLASSES - 1)
        return laplace_bits(values - mean - biases[..., 0], classes).sum(dim=1)


def laplace_bits(distances: Tensor, classes: Tensor) -> Tensor:
    """Return the bits of values at distances from their means, given real scale classes."""
    rate = torch.exp2((UNIT_SCALE_CLASS - classes) / CLASSES_PER_OCTAVE)  # 1 / scale
    away = distances.abs()
    inner = torch.exp(-(away - 0.5).abs() * rate)
    outer = torch.exp(-(away + 0.5) * rate)
    mass = torch.where(away < 0.5, 1 - 0.5 * (inner + outer), 0.5 * (inner - outer))
    return -torch.log2(_SHARED * mass + 1 / TOTAL)


def parameter_bits(differences: Tensor) -> Tensor:
    """Estimate the bits of parameters, (B,), given their differences from the base, (B, K)."""
    return torch.log2(1 + (differences / USUAL_STEP).square()).sum(dim=1)
