"""Latents of a set as its network learns them: normalised per channel and grouped by shape."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unicorn_codec.format import generator
from unicorn_codec.network.training import LatentGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSet:
    """Normalised latents of a set, and the parameters that undo the normalisation.

    Args:
        groups: one for each latent shape. Indices follow the index map.
        means, stds: of the autoencoder's latents, one per channel.
    """

    groups: tuple[LatentGroup, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]


def normalise_latents(latents: Sequence[Tensor], indices: Sequence[int], latent_std: float, seed: int) -> LatentSet:
    """Normalise every channel to mean 0 and a given standard deviation over the whole set (paper, section 4.2).

    Args:
        latents: raw (C, h, w) by position.
        indices: index of each position.
        latent_std: standard deviation afterwards. 1/3 puts three sigma within [-1, 1].
        seed: of the noise from which decoding will start.
    """
    values = torch.cat([one.flatten(1) for one in latents], dim=1).double()
    # Float32, as the header stores them: decoding must undo exactly what training saw.
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
    """Undo the normalisation of latents, (N, C, h, w)."""
    shift = torch.tensor(means, device=latents.device).view(-1, 1, 1)
    scale = torch.tensor(stds, device=latents.device).view(-1, 1, 1) / latent_std
    return latents * scale + shift
