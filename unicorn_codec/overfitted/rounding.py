"""Rounding of training: uniform noise between soft roundings (Agustsson, Theis, 2020)."""

import math

import torch
from torch import Tensor


def with_noise(values: Tensor, generator: torch.Generator) -> Tensor:
    """Add uniform noise of +-1/2."""
    return values + torch.rand(values.shape, generator=generator, device=values.device) - 0.5


def softly_rounded(values: Tensor, temperature: float) -> Tensor:
    """Round softly: the higher the temperature, the nearer to no rounding."""
    floor = values.detach().floor()
    return floor + 0.5 + torch.tanh((values - floor - 0.5) / temperature) / (2 * math.tanh(0.5 / temperature))


def softly_rounded_with_noise(values: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Round softly, add noise, and round softly again."""
    return softly_rounded(with_noise(softly_rounded(values, temperature), generator), temperature)
