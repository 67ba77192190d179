"""A folder's latents: encoded, normalised per channel, and grouped by shape for training."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unicorn_codec import generator
from unicorn_codec.autoencoder import Autoencoder
from unicorn_codec.config import ReadOptions
from unicorn_codec.images import Folder, read_picture
from unicorn_codec.training import LatentGroup

IMAGES_TOGETHER = 256
PIXELS_TOGETHER = 1 << 25
"""Pictures that go through a step together: at most so many, of at most so many pixels."""


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


def encode_batches(
    folder: Folder,
    positions: Sequence[int],
    read: ReadOptions,
    autoencoder: Autoencoder,
    multiple: int,
    progress: Callable[[int, int], None],
) -> Iterator[tuple[list[int], Tensor]]:
    """Raw latents (n, C, h, w) of some pictures, with their positions, a batch of one size at a time.

    Args:
        multiple: pixels that a side is padded to a multiple of.
    """
    done = 0
    sizes = [(folder.pictures[position].width, folder.pictures[position].height) for position in positions]
    for places in batches_by_size(sizes):
        batch = [positions[place] for place in places]
        pixels = [read_picture(folder, folder.pictures[position], read) for position in batch]
        yield batch, autoencoder.encode_pictures(pixels, multiple)
        done += len(batch)
        progress(done, len(positions))


def encode_folder(
    folder: Folder, read: ReadOptions, autoencoder: Autoencoder, multiple: int, progress: Callable[[int, int], None]
) -> list[Tensor]:
    """Raw latents (C, h, w) of every picture, by position."""
    positions = range(len(folder.pictures))
    of_position = {
        position: one
        for batch, latents in encode_batches(folder, positions, read, autoencoder, multiple, progress)
        for position, one in zip(batch, latents, strict=True)
    }
    return [of_position[position] for position in positions]


def places_by_size(sizes: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """Places of the pictures of each size."""
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, size in enumerate(sizes):
        by_size[size].append(place)
    return by_size


def batches_by_size(
    sizes: Sequence[tuple[int, int]], largest: int = IMAGES_TOGETHER, pixels: int = PIXELS_TOGETHER
) -> Iterator[list[int]]:
    """Places of equally sized pictures, at most so many pictures and pixels together."""
    for (width, height), places in places_by_size(sizes).items():
        together = max(1, min(largest, pixels // (width * height)))
        for start in range(0, len(places), together):
            yield places[start : start + together]


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
