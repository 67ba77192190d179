"""The denoiser: a small transformer that predicts clean latents from noisy ones, the timestep and the index.

See section 4.2 of the paper (prototype Laduree). Blocks of self-attention and an MLP turn patches of noisy latents into
clean ones. ``conditioning`` defines how the index tokens and the timestep enter them. There are no biases and no
learned norms, since every stored number costs bits.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unicorn_codec.format.header import NetworkConfig
from unicorn_codec.network.conditioning import CONDITION_CLASSES
from unicorn_codec.network.index_embedding import embed_indices
from unicorn_codec.network.layers import decaying_frequencies, rms_norm, sinusoids, weight_matrix

TIMESTEP_SCALE = 1000.0
"""Timesteps run from 0 to 1. Their sinusoidal features are those of 0 to 1000, as in DiT."""


def timestep_features(timesteps: Tensor, size: int) -> Tensor:
    """Return sinusoidal features of timesteps in [0, 1]: (N,) -> (N, size)."""
    return sinusoids(timesteps[:, None] * TIMESTEP_SCALE * decaying_frequencies(size, timesteps.device)).float()


def position_features(height: int, width: int, size: int) -> Tensor:
    """Return fixed 2-D sine-cosine position features of a token grid, (height * width, size), row by row.

    Periods run from 3 to 192 tokens, so that features are not constant on a grid of a few tokens and not ambiguous on
    one of a hundred.
    """
    count = size // 4
    periods = 3.0 * 64.0 ** (torch.arange(count, dtype=torch.float64) / max(count - 1, 1))
    rows = (torch.arange(height, dtype=torch.float64)[:, None] + 0.5) * 2 * math.pi / periods
    columns = (torch.arange(width, dtype=torch.float64)[:, None] + 0.5) * 2 * math.pi / periods
    of_row = torch.cat([rows.sin(), rows.cos()], dim=-1)[:, None].expand(height, width, -1)
    of_column = torch.cat([columns.sin(), columns.cos()], dim=-1)[None].expand(height, width, -1)
    return math.sqrt(2) * torch.cat([of_row, of_column], dim=-1).reshape(height * width, size).float()


class Denoiser(nn.Module):
    """Predicts clean latents x0, or their noise, from noisy latents, timesteps and indices.

    Args:
        config: sizes of the network.
        pictures: M.
        seed: the archive's seed, from which the index frequencies are drawn.
        latent_channels: C.
    """

    def __init__(self, config: NetworkConfig, *, pictures: int, seed: int, latent_channels: int) -> None:
        super().__init__()
        self.config = config
        self.latent_channels = latent_channels
        values = latent_channels * config.patch_size**2
        self.patch_in = weight_matrix(config.hidden_size, values)
        self.index_embedding = embed_indices(config, pictures=pictures, seed=seed)
        block = CONDITION_CLASSES[config.condition]
        self.blocks = nn.ModuleList(block(config.hidden_size, config.heads) for _ in range(config.depth))
        self.patch_out = nn.Parameter(torch.zeros(values, config.hidden_size))

    def forward(self, noisy_latents: Tensor, timesteps: Tensor, indices: Tensor) -> Tensor:
        """Predict x0 or the noise.

        Args:
            noisy_latents: (N, C, h, w), where h and w are multiples of the patch size.
            timesteps: (N,) in [0, 1]. 1 is pure noise.
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
            tokens, condition = block(tokens, condition)
        patches = F.linear(rms_norm(tokens), self.patch_out)
        return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (height, width)), patch)


def tensors_of(denoiser: Denoiser) -> dict[str, NDArray[np.float32]]:
    """Return the learnable weights by name, float32, in the order of the file."""
    return {name: parameter.detach().float().cpu().numpy() for name, parameter in denoiser.named_parameters()}


def load_tensors(denoiser: Denoiser, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Set all learnable weights. The inverse of ``tensors_of``."""
    denoiser.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
