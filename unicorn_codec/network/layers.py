"""Layers shared by the denoiser's index embeddings and blocks. None has a bias or a learned norm."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def weight_matrix(rows: int, columns: int) -> nn.Parameter:
    """Return a weight matrix that keeps the variance of its input."""
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns))


def rms_norm(tokens: Tensor) -> Tensor:
    """Apply the root-mean-square norm over the last dimension, without a learned gain."""
    return F.rms_norm(tokens, tokens.shape[-1:], eps=1e-6)


def sinusoids(angles: Tensor) -> Tensor:
    """Return the sines, then the cosines of angles, with unit variance: (..., n) -> (..., 2 n)."""
    return math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], dim=-1)


def decaying_frequencies(size: int, device: torch.device) -> Tensor:
    """Return the frequencies of ``size`` sinusoidal features: (size / 2,) float64, from 1 to about 1e-4."""
    exponents = torch.arange(size // 2, device=device, dtype=torch.float64) / (size // 2)
    return torch.exp(-math.log(10000.0) * exponents)


class Attention(nn.Module):
    """Multi-head attention of tokens to source tokens, with normalised queries and keys.

    Args:
        zero_output: initialise with a zero output, so that the residual stream passes unchanged.
    """

    def __init__(self, size: int, heads: int, *, zero_output: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.query = weight_matrix(size, size)
        self.key = weight_matrix(size, size)
        self.value = weight_matrix(size, size)
        self.out = nn.Parameter(torch.zeros(size, size)) if zero_output else weight_matrix(size, size)

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        query, key, value = (
            F.linear(x, weight).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, weight in ((tokens, self.query), (source, self.key), (source, self.value))
        )
        mixed = attention(rms_norm(query), rms_norm(key), value)
        return F.linear(mixed.transpose(1, 2).flatten(2), self.out)


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Apply softmax attention, (N, heads, T, d) each."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value)
    # The fused attention of a CPU is several times slower in bfloat16 than in float32.
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float())
