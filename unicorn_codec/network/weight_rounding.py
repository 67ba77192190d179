"""Training that knows how the weights will be stored: rounded to multiples of a step, at a wanted mean entropy.

In the last third of a run the weights get noise as rounding would add, uniform over a step, so that the network
learns to bear it; near the end they are rounded, and the optimiser moves the exact weights beneath by the gradients of
the rounded ones (straight-through; Bengio et al., 2013). Where the loss is sensitive, steps are finer: with the
variance of the gradient as its curvature, the loss at a given entropy is least where a tensor's step goes with the
inverse root of that. Steps of a row each were measured too: for small networks they cost more than they save.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from unicorn_codec.weights.weight_coding import QuantisedRows, nearest_steps, quantise_rows, step_sizes

NOISE_FROM = 2 / 3
ROUND_FROM = 0.87
FREEZE_FROM = 0.9
"""Parts of a run after which the weights get noise, are rounded instead, and keep their steps."""

REFIT_STEPS = 8
"""Updates from one choice of steps to the next."""

RATE_SHARE = 1e-3
"""Part of the present loss that a bit of every weight is held to be worth."""

_MEMORY = 0.95
_LEAST = 1e-20
_ROUNDS = 20
_UNIT_NORMAL_BITS = 0.5 * math.log2(2 * math.pi * math.e)
"""Entropy of normally distributed weights of deviation 1 at a step of 1, where that is fine."""


class WeightRounding:
    """The steps of a network's tensors while it is trained.

    Args:
        network: on its device; its parameters keep their exact values, but within ``applied`` and ``with_noise``.
        bits: wanted mean entropy of a weight.
    """

    def __init__(self, network: nn.Module, bits: float) -> None:
        self.bits = bits
        self._weights = dict(network.named_parameters())
        self._rows = {name: rows_of(weight.data) for name, weight in self._weights.items()}
        self._curvatures: dict[str, Tensor] = {}
        self._steps: dict[str, Tensor] = {}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the network has the weights that it would be stored with."""
        with self._put(lambda rows, step: torch.round(rows / step) * step):
            yield

    @contextmanager
    def with_noise(self, random: torch.Generator) -> Iterator[None]:
        """Within, the network has weights that are off as rounded ones would be, but never the same way twice."""

        def noisy(rows: Tensor, step: Tensor) -> Tensor:
            return rows + step * (torch.rand(rows.shape, generator=random, device=rows.device) - 0.5)

        with self._put(noisy):
            yield

    @contextmanager
    def _put(self, change: Callable[[Tensor, Tensor], Tensor]) -> Iterator[None]:
        if not self._steps:
            self.fit()
        exact = {name: rows.clone() for name, rows in self._rows.items()}
        for name, rows in self._rows.items():
            rows.copy_(change(rows, self._steps[name]))
        try:
            yield
        finally:
            for name, rows in self._rows.items():
                rows.copy_(exact[name])

    def observe(self) -> None:
        """Learn from the gradients how sensitive the loss is to each tensor; call after each backward pass."""
        for name, weight in self._weights.items():
            assert weight.grad is not None
            squares = weight.grad.float().square().mean()
            before = self._curvatures.get(name, squares)
            self._curvatures[name] = _MEMORY * before + (1 - _MEMORY) * squares

    def add_rate(self, loss: Tensor) -> None:
        """Add the gradients of the rate: bits of the weights under a logistic distribution of their own scale.

        They pull weights towards 0 where the loss does not hold them, so that the others' steps get finer.

        Args:
            loss: () the present one.
        """
        count = sum(weight.numel() for weight in self._weights.values())
        for weight in self._weights.values():
            assert weight.grad is not None
            scale = weight.data.abs().mean().clamp_min(_LEAST) / (2 * math.log(2))
            worth = RATE_SHARE * loss / (count * math.log(2) * scale)
            weight.grad += worth * torch.tanh(weight.data / (2 * scale))

    def fit(self) -> None:
        """Choose the steps anew: those of least loss among those of the wanted mean entropy."""
        sizes = {name: float(weight.data.square().mean().sqrt()) for name, weight in self._weights.items()}
        relative = {name: self._curvature(name) ** -0.5 for name in self._weights}
        counts = np.array([weight.numel() for weight in self._weights.values()])
        bits = np.array([_UNIT_NORMAL_BITS + math.log2(max(sizes[n], _LEAST) / relative[n]) for n in self._weights])
        finer = 0.0
        for _ in range(_ROUNDS):  # what is all zeros takes no bits: others then take more
            finer += self.bits - float(np.average(np.maximum(bits + finer, 0), weights=counts))
        for name, rows in self._rows.items():
            number = nearest_steps(np.array([relative[name] * 2.0**-finer]))
            self._steps[name] = torch.from_numpy(step_sizes(number)).to(rows.device)

    def _curvature(self, name: str) -> float:
        """Of the loss in a tensor's weights, but for a common factor; where nothing is known, as if scale said all."""
        known = self._curvatures.get(name)
        weight = self._weights[name].data
        return max(float(1 / weight.square().mean().clamp_min(_LEAST) if known is None else known), _LEAST)

    def quantised(self) -> list[QuantisedRows]:
        """The weights as they are to be stored, in the order of the network's parameters."""
        if not self._steps:
            self.fit()
        return [
            quantise_rows(rows.cpu().numpy(), np.repeat(nearest_steps(self._steps[name].cpu().numpy()), len(rows)))
            for name, rows in self._rows.items()
        ]

    def tensors(self) -> dict[str, Tensor]:
        """All state as named tensors, for a checkpoint."""
        of_kind = (("curvature", self._curvatures), ("step", self._steps))
        return {f"rounding.{kind}.{name}": tensor for kind, named in of_kind for name, tensor in named.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of ``tensors``, among others of a checkpoint."""
        for kind, named in (("curvature", self._curvatures), ("step", self._steps)):
            prefix = f"rounding.{kind}."
            named.update({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def rows_of(weight: Tensor) -> Tensor:
    """A view with one row an output; a vector is one row."""
    return weight.view(1, -1) if weight.ndim == 1 else weight.flatten(1)
