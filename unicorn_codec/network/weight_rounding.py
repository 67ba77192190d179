"""Quantisation-aware training: weights that will be rounded to multiples of a step, at a target mean entropy.

In the last third of a run, uniform noise of one step's width is added to the weights, so that the network learns to
tolerate rounding. Near the end they are rounded, and the optimiser moves the exact weights by the gradients of the
rounded ones (straight-through estimator; Bengio et al., 2013). Steps are finer where the loss is more sensitive: taking
the variance of the gradient as the curvature, the loss at a given entropy is least if a tensor's step is proportional
to the inverse root of it. Separate steps for each row were measured too: in small networks they cost more than they
save.
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
"""Fractions of a run from which weights get noise, are rounded instead, and keep their steps."""

REFIT_STEPS = 8
"""Updates between two choices of the steps."""

RATE_SHARE = 1e-3
"""Price of one bit for every weight, as a fraction of the current loss."""

_MEMORY = 0.95
_LEAST = 1e-20
_ROUNDS = 20
_UNIT_NORMAL_BITS = 0.5 * math.log2(2 * math.pi * math.e)
"""Entropy of normally distributed weights of standard deviation 1 at a step of 1, for fine steps."""


class WeightRounding:
    """Quantisation steps of a network's tensors during training.

    Args:
        network: on its device. Its parameters stay exact except within ``applied`` and ``with_noise``.
        bits: target mean entropy per weight.
    """

    def __init__(self, network: nn.Module, bits: float) -> None:
        self.bits = bits
        self._weights = dict(network.named_parameters())
        self._rows = {name: rows_of(weight.data) for name, weight in self._weights.items()}
        self._curvatures: dict[str, Tensor] = {}
        self._steps: dict[str, Tensor] = {}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context, the network has the weights that it would be stored with."""
        with self._put(lambda rows, step: torch.round(rows / step) * step):
            yield

    @contextmanager
    def with_noise(self, random: torch.Generator) -> Iterator[None]:
        """Within the context, the network's weights have random errors of the size of rounding errors."""

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
        """Estimate from the gradients how sensitive the loss is to each tensor. Call this after each backward pass."""
        for name, weight in self._weights.items():
            assert weight.grad is not None
            squares = weight.grad.float().square().mean()
            before = self._curvatures.get(name, squares)
            self._curvatures[name] = _MEMORY * before + (1 - _MEMORY) * squares

    def add_rate(self, loss: Tensor) -> None:
        """Add the gradients of the rate: the bits of the weights under a logistic distribution of each tensor's scale.

        They pull weights that matter little to the loss towards 0, which allows finer steps for the others.

        Args:
            loss: (), the current one.
        """
        count = sum(weight.numel() for weight in self._weights.values())
        for weight in self._weights.values():
            assert weight.grad is not None
            scale = weight.data.abs().mean().clamp_min(_LEAST) / (2 * math.log(2))
            worth = RATE_SHARE * loss / (count * math.log(2) * scale)
            weight.grad += worth * torch.tanh(weight.data / (2 * scale))

    def fit(self) -> None:
        """Choose new steps: those of the least loss at the target mean entropy."""
        sizes = {name: float(weight.data.square().mean().sqrt()) for name, weight in self._weights.items()}
        relative = {name: self._curvature(name) ** -0.5 for name in self._weights}
        counts = np.array([weight.numel() for weight in self._weights.values()])
        bits = np.array([_UNIT_NORMAL_BITS + math.log2(max(sizes[n], _LEAST) / relative[n]) for n in self._weights])
        finer = 0.0
        for _ in range(_ROUNDS):  # tensors of zeros take no bits, so the others may take more
            finer += self.bits - float(np.average(np.maximum(bits + finer, 0), weights=counts))
        for name, rows in self._rows.items():
            number = nearest_steps(np.array([relative[name] * 2.0**-finer]))
            self._steps[name] = torch.from_numpy(step_sizes(number)).to(rows.device)

    def _curvature(self, name: str) -> float:
        """Return the curvature of the loss in a tensor's weights up to a common factor, or a guess from their scale."""
        known = self._curvatures.get(name)
        weight = self._weights[name].data
        return max(float(1 / weight.square().mean().clamp_min(_LEAST) if known is None else known), _LEAST)

    def quantised(self) -> list[QuantisedRows]:
        """Return the weights as they are stored, in the order of the network's parameters."""
        if not self._steps:
            self.fit()
        return [
            quantise_rows(rows.cpu().numpy(), np.repeat(nearest_steps(self._steps[name].cpu().numpy()), len(rows)))
            for name, rows in self._rows.items()
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Return all state as named tensors, for a checkpoint."""
        of_kind = (("curvature", self._curvatures), ("step", self._steps))
        return {f"rounding.{kind}.{name}": tensor for kind, named in of_kind for name, tensor in named.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore all state from a checkpoint's tensors. The inverse of ``tensors``."""
        for kind, named in (("curvature", self._curvatures), ("step", self._steps)):
            prefix = f"rounding.{kind}."
            named.update({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def rows_of(weight: Tensor) -> Tensor:
    """View a tensor with one row per output. A vector is one row."""
    return weight.view(1, -1) if weight.ndim == 1 else weight.flatten(1)
