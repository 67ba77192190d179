"""Indices to pixels: noise, sampler, autoencoder. What unpacking does, and what packing looks at its work with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unicorn_codec import generator
from unicorn_codec.autoencoder import Autoencoder
from unicorn_codec.config import Header
from unicorn_codec.denoiser import Denoiser
from unicorn_codec.diffusion import sample_ddim
from unicorn_codec.latent_set import denormalise_latents


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A trained denoiser with the autoencoder that its latents belong to, on one device."""

    header: Header
    denoiser: Denoiser
    autoencoder: Autoencoder

    @property
    def multiple(self) -> int:
        """Pixels that both sides of a picture are padded to a multiple of."""
        return self.header.autoencoder.downsampling * self.header.network.patch_size

    def sample(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> Tensor:
        """Normalised latents (N, C, h, w) of images that are all of one size.

        Args:
            steps: sampling steps; None: those in the header.
            seed: of the noise; None: the header's. Any other noise serves too, as the paper has it.
        """
        grid = [-(-side // self.multiple) * self.header.network.patch_size for side in (height, width)]
        shape = (self.header.autoencoder.latent_channels, *grid)
        seed = self.header.seed if seed is None else seed
        noise = torch.from_numpy(np.stack([generator.noise(seed, index, shape) for index in indices]))
        device = self.autoencoder.device
        numbers = torch.tensor(indices, device=device)
        with torch.inference_mode():
            return sample_ddim(
                lambda noisy, timesteps: self.denoiser(noisy, timesteps, numbers),
                noise.to(device),
                self.header.steps if steps is None else steps,
            )

    def render(self, latents: Tensor, width: int, height: int) -> list[np.ndarray]:
        """Pictures, uint8 (height, width, 3), of normalised latents (N, C, h, w)."""
        header = self.header
        raw = denormalise_latents(latents, header.means, header.stds, header.latent_std)
        return self.autoencoder.decode_pictures(raw, height, width, header.latent_step)

    def decode(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> list[np.ndarray]:
        """Pictures, uint8 (height, width, 3), of images that are all of one size."""
        return self.render(self.sample(indices, width, height, steps=steps, seed=seed), width, height)
