"""The denoiser: a small transformer that predicts clean latents from noise, timestep and index.

Paper, section 4.2 (prototype Laduree). A block is self-attention, cross-attention to the condition
(the index tokens and the timestep's) with a gated residual, and an MLP. There are no biases and no
learned norms: every stored number is worth its bits.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unicorn_codec import generator
from unicorn_codec.config import NetworkConfig

TIMESTEP_SCALE = 1000.0
"""Timesteps run from 0 to 1; their sinusoidal features are those of 0 to 1000, as in DiT."""


def normalise(tokens: Tensor) -> Tensor:
    """Root-mean-square norm over the last dimension, without a learned gain."""
    return F.rms_norm(tokens, tokens.shape[-1:], eps=1e-6)


def timestep_features(timesteps: Tensor, size: int) -> Tensor:
    """Sinusoidal features of timesteps in [0, 1]: (N,) -> (N, size)."""
    exponents = torch.arange(size // 2, device=timesteps.device) / (size // 2)
    angles = timesteps[:, None] * TIMESTEP_SCALE * torch.exp(-math.log(10000.0) * exponents)
    return math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], dim=-1)


def position_features(height: int, width: int, size: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of a token grid: (height * width, size), row by row.

    Periods run from 3 to 192 tokens: a grid of a few tokens gets no constant features, one of a hundred
    no ambiguous ones.
    """
    count = size // 4
    periods = 3.0 * 64.0 ** (torch.arange(count, dtype=torch.float64) / max(count - 1, 1))
    rows = (torch.arange(height, dtype=torch.float64)[:, None] + 0.5) * 2 * math.pi / periods
    columns = (torch.arange(width, dtype=torch.float64)[:, None] + 0.5) * 2 * math.pi / periods
    of_row = torch.cat([rows.sin(), rows.cos()], dim=-1)[:, None].expand(height, width, -1)
    of_column = torch.cat([columns.sin(), columns.cos()], dim=-1)[None].expand(height, width, -1)
    return math.sqrt(2) * torch.cat([of_row, of_column], dim=-1).reshape(height * width, size).float()


class GaussianFourierFeatures(nn.Module):
    """GRF: an index as tokens of sines and cosines at Gaussian random frequencies (paper, section 4.2).

    The frequencies come from the archive's seed and cost no bytes. With a deviation of half a cycle per
    index, the features of different indices are as good as independent.
    """

    frequencies: Tensor

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        super().__init__()
        count = config.index_tokens * config.hidden_size // 2
        normals = torch.from_numpy(generator.normals(seed, generator.FREQUENCIES, count))
        frequencies = normals.double().view(config.index_tokens, -1) * config.bandwidth
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, indices: Tensor) -> Tensor:
        """(N,) int64 -> (N, index_tokens, hidden_size) float32."""
        # Float64 and reduced modulo 1: at index 100,000 a float32 phase would be noise.
        phases = (indices.double()[:, None, None] * self.frequencies) % 1.0
        angles = 2 * math.pi * phases
        return (math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], dim=-1)).float()


class Attention(nn.Module):
    """Multi-head attention of tokens to a source of tokens, with normalised queries and keys."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = matrix(size, size)
        self.key = matrix(size, size)
        self.value = matrix(size, size)
        self.out = nn.Parameter(torch.zeros(size, size))

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        query, key, value = (
            F.linear(x, weight).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, weight in ((tokens, self.query), (source, self.key), (source, self.value))
        )
        mixed = attend(normalise(query), normalise(key), value)
        return F.linear(mixed.transpose(1, 2).flatten(2), self.out)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention, (N, heads, T, d) each."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value)
    # The fused attention of a CPU is several times slower in bfloat16 than in float32.
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float())


class GatedCrossAttentionBlock(nn.Module):
    """CAG: self-attention, cross-attention to the condition gated per dimension, MLP (paper, figure 3)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.self_attention = Attention(size, heads)
        self.cross_attention = Attention(size, heads)
        self.gate = nn.Parameter(torch.full((size,), 0.5))
        self.mlp_in = matrix(4 * size, size)
        self.mlp_out = nn.Parameter(torch.zeros(size, 4 * size))

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """(N, T, H) tokens and (N, K, H) condition -> (N, T, H)."""
        normed = normalise(tokens)
        tokens = tokens + self.self_attention(normed, normed)
        tokens = tokens + self.gate * self.cross_attention(normalise(tokens), condition)
        return tokens + F.linear(F.relu(F.linear(normalise(tokens), self.mlp_in)).square(), self.mlp_out)


INDEX_EMBEDDING_CLASSES: dict[str, Callable[[NetworkConfig, int], nn.Module]] = {"grf": GaussianFourierFeatures}
CONDITION_CLASSES: dict[str, Callable[[int, int], nn.Module]] = {"cag": GatedCrossAttentionBlock}


def matrix(rows: int, columns: int) -> nn.Parameter:
    """A weight matrix that keeps the variance of its input."""
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns))


class Denoiser(nn.Module):
    """Predicts clean latents x0 from noisy latents, timestep and index.

    Args:
        config: the network's sizes.
        seed: the archive's seed, of which the index frequencies are drawn.
        latent_channels: C.
    """

    def __init__(self, config: NetworkConfig, *, seed: int, latent_channels: int) -> None:
        super().__init__()
        self.config = config
        self.latent_channels = latent_channels
        values = latent_channels * config.patch_size**2
        self.patch_in = matrix(config.hidden_size, values)
        self.index_embedding = INDEX_EMBEDDING_CLASSES[config.index_embedding](config, seed)
        block = CONDITION_CLASSES[config.condition]
        self.blocks = nn.ModuleList(block(config.hidden_size, config.heads) for _ in range(config.depth))
        self.patch_out = nn.Parameter(torch.zeros(values, config.hidden_size))

    def forward(self, noisy_latents: Tensor, timesteps: Tensor, indices: Tensor) -> Tensor:
        """Predict x0.

        Args:
            noisy_latents: (N, C, h, w), h and w multiples of the patch size.
            timesteps: (N,) in [0, 1]; 1 is noise alone.
            indices: (N,) int64.

        Returns:
            (N, C, h, w).
        """
        patch, size = self.config.patch_size, self.config.hidden_size
        height, width = (side // patch for side in noisy_latents.shape[2:])
        patches = F.pixel_unshuffle(noisy_latents, patch).flatten(2).transpose(1, 2)  # (N, h w / p^2, C p^2)
        positions = position_features(height, width, size).to(noisy_latents.device)
        tokens = F.linear(patches, self.patch_in) + positions
        of_timestep = timestep_features(timesteps, size)[:, None]
        condition = torch.cat([self.index_embedding(indices), of_timestep], dim=1)  # (N, K + 1, H)
        for block in self.blocks:
            tokens = block(tokens, condition)
        patches = F.linear(normalise(tokens), self.patch_out)
        return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (height, width)), patch)


def tensors_of(denoiser: Denoiser) -> dict[str, NDArray[np.float32]]:
    """Learnable weights by name, float32, in the order of the file."""
    return {name: parameter.detach().float().cpu().numpy() for name, parameter in denoiser.named_parameters()}


def load_tensors(denoiser: Denoiser, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Set all learnable weights; the inverse of ``tensors_of``."""
    denoiser.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
