"""Indices to pixels: latents from the network or from codes, then the autoencoder.

What unpacking does, and what packing looks at its work with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec import generator
from unicorn_codec.autoencoder import Autoencoder
from unicorn_codec.code_model import CodeModel
from unicorn_codec.code_table import Codes
from unicorn_codec.codes import decode_images
from unicorn_codec.config import Denoising, Header
from unicorn_codec.denoiser import Denoiser
from unicorn_codec.diffusion import sample_ddim
from unicorn_codec.latent_set import denormalise_latents


class Decoder(Protocol):
    """What an archive needs to get its pictures, in two halves that may run side by side."""

    def latents(self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None) -> Tensor:
        """Raw latents (N, C, h, w) of images that are all of one size."""

    def pictures(self, latents: Tensor, width: int, height: int) -> list[np.ndarray]:
        """Their pictures, uint8 (height, width, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDecoder:
    """A trained denoiser with the autoencoder that its latents belong to, on one device."""

    header: Header
    denoising: Denoising
    denoiser: Denoiser
    autoencoder: Autoencoder

    def sample(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> Tensor:
        """Normalised latents (N, C, h, w) of images that are all of one size.

        Args:
            steps: sampling steps; None: the archive's.
            seed: of the noise; None: the archive's. Any other noise serves too, as the paper has it.
        """
        patch = self.denoising.network.patch_size
        multiple = self.header.autoencoder.downsampling * patch
        grid = [-(-side // multiple) * patch for side in (height, width)]
        shape = (self.header.autoencoder.latent_channels, *grid)
        seed = self.header.seed if seed is None else seed
        noise = torch.from_numpy(np.stack([generator.noise(seed, index, shape) for index in indices]))
        device = self.autoencoder.device
        numbers = torch.tensor(indices, device=device)
        with torch.inference_mode():
            return sample_ddim(
                lambda noisy, timesteps: self.denoiser(noisy, timesteps, numbers),
                noise.to(device),
                self.denoising.steps if steps is None else steps,
            )

    def decode(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> list[np.ndarray]:
        """Pictures, uint8 (height, width, 3), of images that are all of one size."""
        return self.pictures(self.latents(indices, width, height, steps=steps, seed=seed), width, height)

    def latents(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> Tensor:
        """Raw latents (N, C, h, w) of images that are all of one size."""
        normalised = self.sample(indices, width, height, steps=steps, seed=seed)
        denoising = self.denoising
        return denormalise_latents(normalised, denoising.means, denoising.stds, denoising.latent_std)

    def pictures(self, latents: Tensor, width: int, height: int) -> list[np.ndarray]:
        """Pictures, uint8 (height, width, 3), of raw latents."""
        return self.autoencoder.decode_pictures(latents, height, width, self.header.latent_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDecoder:
    """An archive's codes with the autoencoder that they belong to."""

    header: Header
    codes: Codes
    positions: NDArray[np.int64]
    autoencoder: Autoencoder
    model: CodeModel

    def latents(self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None) -> Tensor:
        """Raw latents (N, C, h, w) of images that are all of one size; there is nothing to step.

        Raises:
            InvalidField: a code is damaged.
        """
        streams = [self.codes.streams[position] for position in self.positions[list(indices)]]
        rows, columns = (-(-side // self.header.autoencoder.downsampling) for side in (height, width))
        symbols = decode_images(self.model, self.codes.level, streams, rows, columns)
        return torch.from_numpy(symbols).float() * self.header.latent_step

    def pictures(self, latents: Tensor, width: int, height: int) -> list[np.ndarray]:
        """Pictures, uint8 (height, width, 3), of raw latents."""
        return self.autoencoder.decode_pictures(latents, height, width, self.header.latent_step)
