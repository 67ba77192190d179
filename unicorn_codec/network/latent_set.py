"""A set's latents as its network learns them: normalised per channel, grouped by shape."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unicorn_codec.format import generator
from unicorn_codec.network.training import LatentGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSet:
    """Normalised latents of a set and what undoes the normalising.

    Args:
        groups: one for each latent shape; indices follow the index map.
        means, stds: of the autoencoder's latents, one a channel.
    """

    groups: tuple[LatentGroup, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]


def normalise_latents(latents: Sequence[Tensor], indices: Sequence[int], latent_std: float, seed: int) -> LatentSet:
    """Bring every channel to mean 0 and the wanted deviation, over the whole set (paper, section 4.2).

    Args:
        latents: raw (C, h, w) by position.
        indices: index of each position.
        latent_std: deviation afterwards; 1/3 puts three sigma within [-1, 1].
        seed: of the noise that decoding will start from.
    """
    values = torch.cat([one.flatten(1) for one in latents], dim=1).double()
    # Float32, as the header holds them: what is trained on must be what decoding undoes.
    means = values.mean(1).float()
    stds = values.std(1, correction=0).clamp_min(1e-6).float()
    by_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for position, one in enumerate(latents):
        by_shape[one.shape].append(position)
    groups = []
    for shape, positions in by_shape.items():
        raw = torch.stack([latents[p] for p in positions])
        of_group = [indices[p] for p in positions]
        noise = torch.stack([torch.from_numpy(generator.noise(seed, index, tuple(shape))) for index in of_group])
        normalised = (raw - means.view(-1, 1, 1)) * (latent_std / stds.view(-1, 1, 1))
        groups.append(LatentGroup(indices=torch.tensor(of_group), latents=normalised, noise=noise))
    return LatentSet(groups=tuple(groups), means=tuple(means.tolist()), stds=tuple(stds.tolist()))


def denormalise_latents(latents: Tensor, means: Sequence[float], stds: Sequence[float], latent_std: float) -> Tensor:
    """The inverse: (N, C, h, w) normalised to raw."""
    shift = torch.tensor(means, device=latents.device).view(-1, 1, 1)
    scale = torch.tensor(stds, device=latents.device).view(-1, 1, 1) / latent_std
    return latents * scale + shift
