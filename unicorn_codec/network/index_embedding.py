"""Index embeddings: an index as tokens of the denoiser's condition (paper, section 4.2).

Each maps (N,) int64 -> (N, index_tokens, H).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unicorn_codec.format import generator
from unicorn_codec.format.header import NetworkConfig
from unicorn_codec.network.layers import decaying_frequencies, sinusoids, weight_matrix


class GaussianFourierFeatures(nn.Module):
    """GRF: sines and cosines at Gaussian random frequencies.

    The frequencies are drawn from the archive's seed and cost no bytes. With a standard deviation of half a cycle per
    index, the features of different indices are practically independent.
    """

    frequencies: Tensor

    def __init__(self, config: NetworkConfig, *, pictures: int, seed: int) -> None:
        super().__init__()
        count = config.index_tokens * config.hidden_size // 2
        normals = torch.from_numpy(generator.normals(seed, generator.FREQUENCIES, count))
        frequencies = normals.double().view(config.index_tokens, -1) * config.bandwidth
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, indices: Tensor) -> Tensor:
        """Map (N,) int64 -> (N, index_tokens, hidden_size) float32."""
        # Float64 and reduced modulo 1: at index 100,000 a float32 phase would be noise.
        phases = (indices.double()[:, None, None] * self.frequencies) % 1.0
        return sinusoids(2 * math.pi * phases).float()


class ExponentialDecayFeatures(nn.Module):
    """EDF: sines and cosines at exponentially decaying frequencies, then an MLP, as DiT embeds its timesteps."""

    def __init__(self, config: NetworkConfig, *, pictures: int, seed: int) -> None:
        super().__init__()
        self.index_tokens, size = config.index_tokens, config.hidden_size
        self.mlp_in = weight_matrix(size, size)
        self.mlp_out = weight_matrix(config.index_tokens * size, size)

    def forward(self, indices: Tensor) -> Tensor:
        """Map (N,) int64 -> (N, index_tokens, hidden_size)."""
        # Float64, since at index 100,000 a float32 phase would be noise.
        frequencies = decaying_frequencies(self.mlp_in.shape[1], indices.device)
        features = sinusoids(indices.double()[:, None] * frequencies).float()
        return token_mlp(features, self.mlp_in, self.mlp_out, self.index_tokens)


class LearnedTable(nn.Module):
    """LET: a learned row for every picture. The only embedding whose bytes grow with the number of pictures."""

    def __init__(self, config: NetworkConfig, *, pictures: int, seed: int) -> None:
        super().__init__()
        self.index_tokens = config.index_tokens
        self.table = nn.Parameter(torch.randn(pictures, config.index_tokens * config.hidden_size))

    def forward(self, indices: Tensor) -> Tensor:
        """Map (N,) int64 -> (N, index_tokens, hidden_size)."""
        return F.embedding(indices, self.table).unflatten(1, (self.index_tokens, -1))


class NormalisedIndexMlp(nn.Module):
    """MLP: an MLP of the index, scaled to (-1, 1). The second column of its first matrix is the bias."""

    def __init__(self, config: NetworkConfig, *, pictures: int, seed: int) -> None:
        super().__init__()
        self.index_tokens, self.pictures = config.index_tokens, pictures
        self.mlp_in = weight_matrix(config.hidden_size, 2)
        self.mlp_out = weight_matrix(config.index_tokens * config.hidden_size, config.hidden_size)

    def forward(self, indices: Tensor) -> Tensor:
        """Map (N,) int64 -> (N, index_tokens, hidden_size)."""
        normalised = ((2 * indices.double() + 1) / self.pictures - 1).float()
        features = torch.stack([normalised, torch.ones_like(normalised)], dim=1)
        return token_mlp(features, self.mlp_in, self.mlp_out, self.index_tokens)


def token_mlp(features: Tensor, mlp_in: Tensor, mlp_out: Tensor, tokens: int) -> Tensor:
    """Apply an MLP to an index's features and split its output into tokens: (N, f) -> (N, tokens, H)."""
    return F.linear(F.silu(F.linear(features, mlp_in)), mlp_out).unflatten(1, (tokens, -1))


INDEX_EMBEDDING_CLASSES: dict[str, Callable[..., nn.Module]] = {
    "grf": GaussianFourierFeatures,
    "edf": ExponentialDecayFeatures,
    "let": LearnedTable,
    "mlp": NormalisedIndexMlp,
}


def embed_indices(config: NetworkConfig, *, pictures: int, seed: int) -> nn.Module:
    """Return the index embedding of a network.

    Args:
        pictures: M.
        seed: the archive's seed, from which frequencies are drawn.
    """
    return INDEX_EMBEDDING_CLASSES[config.index_embedding](config, pictures=pictures, seed=seed)
