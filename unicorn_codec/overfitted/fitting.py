"""Training of overfitted functions: squared error of latents + lambda x (bits of planes + bits of parameters).

B functions of latents of one size are trained together; they share nothing but the calls.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from unicorn_codec.concurrency import check_cancelled
from unicorn_codec.overfitted.function_rate import PlaneRate, parameter_bits
from unicorn_codec.overfitted.function_shape import UNIT, FunctionShape, Integers
from unicorn_codec.overfitted.rounding import softly_rounded_with_noise
from unicorn_codec.overfitted.synthesis import named_tensors, planes_of, synthesise
from unicorn_codec.overfitted.value_layout import ValueLayout

RATE = 1e-2
"""Peak learning rate."""

VALUE_SCALE = 16.0
"""Values are trained as multiples of this, so that Adam moves them fast enough."""

WARMEST, COLDEST = 0.3, 0.1
"""Temperatures of soft rounding, at the begin and at the end of training."""

CHECKED = (0.7, 0.8, 0.9, 1.0)
"""Shares of training after which its state is rounded and measured."""

BITS_OF_ERROR = 2 * math.log(2) / 12
"""Squared error that one more bit saves of a value of step 1: with step d it is d^2 times that."""

COARSEST_GAIN = 2.0
FINEST_GAIN = 2.0**-8


@dataclass(frozen=True, eq=False)
class Task:
    """Latents to fit.

    Args:
        latents: (B, C, h, w), normalised.
        trade_offs: (B,) squared error that a bit is worth.
    """

    latents: Tensor
    trade_offs: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the latents."""
        return self.latents.shape[2], self.latents.shape[3]

    def of(self, numbers: Tensor) -> "Task":
        """Return the task of some functions, by number."""
        return Task(self.latents[numbers], self.trade_offs[numbers])


@dataclass(frozen=True, eq=False)
class Functions:
    """B functions in training.

    Args:
        parameters: (B, K).
        values: (B, N), real numbers that become the planes' integers.
    """

    parameters: Tensor
    values: Tensor

    def of(self, numbers: Tensor) -> "Functions":
        """Return some functions by number."""
        return Functions(self.parameters[numbers], self.values[numbers])


@dataclass(frozen=True, eq=False)
class Costs:
    """Squared errors and bits of B functions, (B,) each."""

    errors: Tensor
    plane_bits: Tensor
    parameter_bits: Tensor

    def total(self, trade_offs: Tensor) -> Tensor:
        """Return what training minimises, (B,)."""
        return self.errors + trade_offs * (self.plane_bits + self.parameter_bits)


class Model(Protocol):
    """What a step of training runs."""

    def costs(self, parameters: Tensor, values: Tensor) -> Costs:
        """Return errors and bits of functions with these parameters (B, K) and rounded values (B, N)."""


class FittedModel:
    """Evaluates functions of a task.

    Args:
        base: (K,) parameters that the stored ones differ from.
    """

    def __init__(self, shape: FunctionShape, base: Tensor, task: Task) -> None:
        self.shape, self.task = shape, task
        self._base = base
        self.layout = ValueLayout(*task.size, shape.settings.planes)
        self._rate = PlaneRate(self.layout, task.latents.device)

    def costs(self, parameters: Tensor, values: Tensor) -> Costs:
        """Return errors and bits; see ``Model``."""
        named = named_tensors(self.shape, parameters)
        found = synthesise(named, planes_of(values, self.layout))
        errors = (found - self.task.latents).square().flatten(1).sum(dim=1)
        return Costs(errors, self._rate.bits(named, values), parameter_bits(parameters - self._base))

    def of(self, numbers: Tensor) -> "FittedModel":
        """Return the model of some functions, by number."""
        return FittedModel(self.shape, self._base, self.task.of(numbers))


def begin(
    shape: FunctionShape, start: Integers, task: Task, generator: torch.Generator, *, is_plain: bool
) -> Functions:
    """Return functions before training, which give zeros.

    Args:
        start: (K,) parameters in units of 2^-12.
        is_plain: ``start`` is the plain function: weights are drawn, and gains follow the trade-off.
    """
    device = task.latents.device
    parameters = (torch.from_numpy(start).to(device).float() / UNIT).repeat(len(task.latents), 1)
    count = ValueLayout(*task.size, shape.settings.planes).count
    if is_plain:
        steps = (task.trade_offs / BITS_OF_ERROR).sqrt().clamp(FINEST_GAIN, COARSEST_GAIN)
        for parameter, place in shape.slices():
            if parameter.name == "gains":
                parameters[:, place] *= steps[:, None]
            elif (spread := _SPREADS.get(parameter.name)) is not None:
                inputs = math.prod(parameter.shape[1:])
                drawn = torch.randn((len(parameters), parameter.count), generator=generator, device=device)
                parameters[:, place] += spread / math.sqrt(inputs) * drawn
    return Functions(parameters, torch.zeros(len(task.latents), count, device=device))


_SPREADS = {
    "hidden_weight": 1.0,
    "latent_weight": 0.3,
    "first_weight": 0.5,
    "second_weight": 0.1,
    "context_first_weight": 0.5,
    "context_second_weight": 0.3,
    "context_out_weight": 0.1,
}
"""Deviation of drawn weights, times the root of their inputs."""


def train(
    model: FittedModel,
    functions: Functions,
    steps: int,
    generator: torch.Generator,
    *,
    is_whole: bool,
    shared: bool = False,
    measure: Callable[[Functions], Tensor] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Functions:
    """Train functions for some steps by Adam, with soft rounding, and return the best state of each.

    States are compared at the begin and after the shares ``CHECKED``; so the result is never worse than ``functions``.

    Args:
        is_whole: lower the temperature and the learning rate to the end; else both stay as they begin.
        shared: all functions have the same parameters, those of the first.
        measure: returns the costs (B,) by which states are compared; ``losses`` without it. Those of shared parameters
            are added up.
        progress: called with the number of each finished step.
    """
    measure = measure or partial(losses, model)
    if shared:
        functions = Functions(functions.parameters[:1].expand(len(functions.values), -1), functions.values)
    best = _Best(functions, measure(functions), shared)
    checks = {max(1, round(share * steps)) for share in CHECKED}
    parameters = (functions.parameters[:1] if shared else functions.parameters).clone().requires_grad_()
    scaled = (functions.values / VALUE_SCALE).clone().requires_grad_()
    optimizer = torch.optim.Adam([parameters, scaled], RATE)
    trade_offs = model.task.trade_offs
    weight = 1 / model.task.latents[0].numel()
    for step in range(steps):
        if step % 16 == 0:
            check_cancelled()
        share = step / steps if is_whole else 0.0
        for group in optimizer.param_groups:
            group["lr"] = RATE * (0.5 * (1 + math.cos(math.pi * share)) * 0.99 + 0.01)
        noisy = softly_rounded_with_noise(scaled * VALUE_SCALE, WARMEST + (COLDEST - WARMEST) * share, generator)
        every = parameters.expand(len(scaled), -1)
        loss = (model.costs(every, noisy).total(trade_offs) * weight).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step + 1 in checks:
            state = Functions(parameters.detach().expand(len(scaled), -1), scaled.detach() * VALUE_SCALE)
            best.offer(state, measure(state))
        progress(step + 1)
    return best.functions


class _Best:
    """Keeps the best state of each of B functions, or of all together if they share their parameters."""

    def __init__(self, functions: Functions, costs: Tensor, shared: bool) -> None:
        self.functions, self._shared = functions, shared
        self._costs = self._compared(costs)

    def offer(self, functions: Functions, costs: Tensor) -> None:
        """Keep the functions that cost less than those kept so far."""
        costs = self._compared(costs)
        is_better = (costs < self._costs)[:, None]
        self._costs = torch.minimum(costs, self._costs)
        self.functions = Functions(
            torch.where(is_better, functions.parameters, self.functions.parameters),
            torch.where(is_better, functions.values, self.functions.values),
        )

    def _compared(self, costs: Tensor) -> Tensor:
        return costs.sum().expand(len(costs)) if self._shared else costs


@torch.no_grad()
def losses(model: FittedModel, functions: Functions) -> Tensor:
    """Return what training minimises with rounded values, (B,)."""
    return model.costs(functions.parameters, functions.values.round()).total(model.task.trade_offs)
