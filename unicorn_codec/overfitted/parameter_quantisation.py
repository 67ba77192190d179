"""Quantisation of a function's parameters: the step of each group that costs least by error and bits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.overfitted.fitting import Costs, FittedModel, Functions
from unicorn_codec.overfitted.function_code import MAX_PARAMETER, CodedParameters, GroupCoding, bits_of_integers
from unicorn_codec.overfitted.function_shape import FRACTION_BITS, GROUPS, UNIT, FunctionShape, Integers
from unicorn_codec.overfitted.integer_context import LARGEST_VALUE, Floats

STEP_BITS = range(FRACTION_BITS + 1)
"""Steps that are tried: 2^-bits."""

FIRST_BITS = 8
"""Step of the groups whose turn has not come."""


def quantise(shape: FunctionShape, base: Integers, parameters: Tensor, bits: Sequence[int]) -> Integers:
    """Return the differences of parameters (K,) from the base, in steps of 2^-bits of their group."""
    exact = parameters.cpu().double().numpy() - base / UNIT
    scaled = np.rint(np.ldexp(exact, np.array(bits)[shape.groups])).astype(np.int64)
    shifts = np.array([FRACTION_BITS - each for each in bits])[shape.groups]
    lowest, highest = (-MAX_PARAMETER - base) >> shifts, (MAX_PARAMETER - base) >> shifts
    return np.asarray(np.clip(scaled, np.maximum(lowest + 1, -32767), np.minimum(highest, 32767)))


def code_groups(shape: FunctionShape, differences: Integers, bits: Sequence[int]) -> tuple[CodedParameters, float]:
    """Choose the scale class of each group. Return the parameters as coded, and their bits."""
    found = [bits_of_integers(differences[shape.groups == group]) for group in range(len(GROUPS))]
    groups = [GroupCoding(step, scale_class) for step, (scale_class, _) in zip(bits, found, strict=True)]
    return CodedParameters(groups, differences), sum(total for _, total in found)


@dataclass(frozen=True, eq=False)
class Quantised:
    """Quantised parameters of B functions.

    Args:
        coded: parameters of each function. Shared ones are stored once: the first.
        costs: (B,) squared error, and lambda x bits of the planes and of the quantised parameters.
    """

    coded: Sequence[CodedParameters]
    costs: Tensor


@torch.no_grad()
def search_steps(model: FittedModel, base: Integers, functions: Functions, *, shared: bool = False) -> Quantised:
    """Quantise the parameters of B functions, group by group, each with the step that costs least.

    Args:
        shared: all functions have the same parameters, which are stored once.
    """
    shape, device = model.shape, functions.parameters.device
    values = functions.values.round().clamp(-LARGEST_VALUE, LARGEST_VALUE)
    trade_offs = model.task.trade_offs.cpu().double().numpy()
    chosen = np.full((len(values), len(GROUPS)), FIRST_BITS)
    for group in range(len(GROUPS)):
        totals: list[Floats] = []
        for bits in STEP_BITS:
            trial = chosen.copy()
            trial[:, group] = bits
            coded = [
                code_groups(shape, quantise(shape, base, parameters, steps), steps)
                for parameters, steps in zip(functions.parameters, trial.tolist(), strict=True)
            ]
            exact = np.stack([parameters.values(shape, base) for parameters, _ in coded])
            costs = model.costs(torch.from_numpy(exact).to(device).float() / UNIT, values)
            total = _cost(costs, trade_offs, [bits / len(values) if shared else bits for _, bits in coded])
            totals.append(np.broadcast_to(total.sum() / len(total), total.shape) if shared else total)
        chosen[:, group] = np.array(STEP_BITS)[np.argmin(totals, axis=0)]
    coded_best = [
        code_groups(shape, quantise(shape, base, parameters, steps), steps)[0]
        for parameters, steps in zip(functions.parameters, chosen.tolist(), strict=True)
    ]
    return Quantised(coded_best, torch.from_numpy(np.min(totals, axis=0)).to(device))


def _cost(costs: Costs, trade_offs: Floats, parameter_bits: Sequence[float]) -> Floats:
    errors, plane_bits = costs.errors.cpu().double().numpy(), costs.plane_bits.cpu().double().numpy()
    return np.asarray(errors + trade_offs * (plane_bits + np.array(parameter_bits)))
