"""Plan of an index-only archive: the size of its network, and the predicted size of the file, before any work."""

from dataclasses import dataclass

from unicorn_codec.format.fields import check
from unicorn_codec.format.header import MAX_HIDDEN_SIZE, NetworkConfig
from unicorn_codec.weights.weight_section import count_parameters

PARAMETERS_PER_LATENT = 1.5
"""Default size of the network.

With this many weights per latent value, a set is learned in minutes rather than hours.
"""

PAPER_DEPTH = 12
WIDTH_PER_DEPTH = 8
"""Least width per block. Smaller networks get fewer blocks, so that none is narrower than this times their number."""

HEAD_SIZE = 48
INDEX_TOKENS = 8
PIXELS_PER_TOKEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """The network to train, and predictions for it.

    Args:
        parameters: learnable weights of the denoiser.
        latent_values: number of latent values of the set.
        pixels: of the whole set.
        file_bytes: predicted size of the file, before weights are compressed.
        memory_bytes: predicted peak of latents, noise, network and optimiser.
    """

    network: NetworkConfig
    parameters: int
    latent_values: int
    pixels: int
    file_bytes: int
    memory_bytes: int


def choose_heads(hidden_size: int) -> int:
    """Return the number of attention heads that divides the width into about ``HEAD_SIZE`` dimensions each."""
    fitting = [h for h in range(1, 65) if hidden_size % (4 * h) == 0 and hidden_size >= HEAD_SIZE * h]
    return max(fitting, default=1)


def shape_network(
    hidden_size: int, depth: int, downsampling: int, *, condition: str = "cag", index_embedding: str = "grf"
) -> NetworkConfig:
    """Return a network of the given sizes, with tokens of 16 x 16 pixels."""
    return NetworkConfig(
        hidden_size=hidden_size,
        depth=depth,
        heads=choose_heads(hidden_size),
        patch_size=max(1, min(4, PIXELS_PER_TOKEN // downsampling)),
        condition=condition,
        index_embedding=index_embedding,
        # Each token of a table costs a row of weights per picture, and one learned token can hold everything.
        index_tokens=1 if index_embedding == "let" else INDEX_TOKENS,
    )


def fit_network(
    parameters: float,
    depth: int | None,
    latent_channels: int,
    downsampling: int,
    *,
    pictures: int,
    condition: str = "cag",
    index_embedding: str = "grf",
) -> NetworkConfig:
    """Return the widest network of at most ``parameters`` weights, or the narrowest one if none is small enough."""
    if depth is None:
        by_size = round((parameters / (16 * WIDTH_PER_DEPTH**2)) ** (1 / 3))
        depth = min(PAPER_DEPTH, max(2, by_size))
    kind = {"condition": condition, "index_embedding": index_embedding}
    fitting = shape_network(4, depth, downsampling, **kind)
    for hidden_size in range(8, MAX_HIDDEN_SIZE + 1, 4):
        candidate = shape_network(hidden_size, depth, downsampling, **kind)
        if count_parameters(candidate, latent_channels, pictures) > parameters:
            break
        fitting = candidate
    return fitting


def plan_network(
    *,
    latent_values: int,
    pixels: int,
    pictures: int,
    latent_channels: int,
    downsampling: int,
    wanted_bytes: float | None,
    hidden_size: int | None,
    depth: int | None,
    weight_bits: int,
    condition: str = "cag",
    index_embedding: str = "grf",
) -> NetworkPlan:
    """Plan the network from the target rate, or from its width, or else from the number of latent values.

    Raises:
        InvalidSetting: the target size leaves no room for a network.
    """
    overhead = 512 + 8 * pictures
    kind = {"condition": condition, "index_embedding": index_embedding}
    if hidden_size is not None:
        network = shape_network(hidden_size, depth or PAPER_DEPTH, downsampling, **kind)
    else:
        budget = PARAMETERS_PER_LATENT * latent_values
        if wanted_bytes is not None:
            budget = 8 * (wanted_bytes - overhead) / weight_bits
            check(budget > 0, f"{wanted_bytes:.0f} bytes cannot hold a network: names alone need more")
        network = fit_network(budget, depth, latent_channels, downsampling, pictures=pictures, **kind)
    parameters = count_parameters(network, latent_channels, pictures)
    return NetworkPlan(
        network=network,
        parameters=parameters,
        latent_values=latent_values,
        pixels=pixels,
        file_bytes=parameters * weight_bits // 8 + overhead,
        # Latents and noise; weights, gradients and two moments; activations of one batch, as measured.
        memory_bytes=8 * latent_values + 16 * parameters + 800 * 2**20,
    )
