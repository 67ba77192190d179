"""An index to latents by the denoiser, then to pixels by the autoencoder (paper, section 4)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.format import generator
from unicorn_codec.format.header import Denoising, Header
from unicorn_codec.network.denoiser import Denoiser
from unicorn_codec.network.diffusion import (
    LAST_TIMESTEP_WITH_SIGNAL,
    LATENT_LIMIT_STDS,
    latents_from_noise,
    sample_ddim,
)
from unicorn_codec.network.latent_set import denormalise_latents
from unicorn_codec.transform.autoencoder import Autoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDecoder:
    """Decodes by a trained denoiser and the autoencoder of its latents, on one device.

    Args:
        first: index of the network's first picture.
    """

    header: Header
    denoising: Denoising
    denoiser: Denoiser
    autoencoder: Autoencoder
    first: int = 0

    def sample(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> Tensor:
        """Sample normalised latents (N, C, h, w) of pictures of one size.

        Args:
            steps: sampling steps; None: the archive's.
            seed: of the noise; None: the archive's. Any other noise gives nearly the same pictures (paper, section 4).
        """
        indices = [index - self.first for index in indices]
        patch = self.denoising.network.patch_size
        multiple = self.header.autoencoder.downsampling * patch
        grid = [-(-side // multiple) * patch for side in (height, width)]
        shape = (self.header.autoencoder.latent_channels, *grid)
        seed = self.header.seed if seed is None else seed
        noise = torch.from_numpy(np.stack([generator.noise(seed, index, shape) for index in indices]))
        device = self.autoencoder.device
        numbers = torch.tensor(indices, device=device)
        steps = self.denoising.steps if steps is None else steps
        limit = LATENT_LIMIT_STDS * self.denoising.latent_std

        def latents_of_noise(noisy: Tensor, timesteps: Tensor) -> Tensor:
            return latents_from_noise(self.denoiser(noisy, timesteps, numbers), noisy, timesteps, limit)

        with torch.inference_mode():
            if self.denoising.prediction == "noise":
                return sample_ddim(latents_of_noise, noise.to(device), steps, highest=LAST_TIMESTEP_WITH_SIGNAL)
            return sample_ddim(lambda noisy, t: self.denoiser(noisy, t, numbers), noise.to(device), steps)

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None, seed: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Sample latents of pictures of one size; return a function that decodes them. See ``PictureDecoder``."""
        normalised = self.sample(indices, width, height, steps=steps, seed=seed)
        denoising = self.denoising
        latents = denormalise_latents(normalised, denoising.means, denoising.stds, denoising.latent_std)
        return lambda: self.autoencoder.iterate_pictures(latents, height, width, self.header.latent_step)


def untrained_decoder(denoising: Denoising, autoencoder: Autoencoder, pictures: int, seed: int) -> NetworkDecoder:
    """Build a decoder whose weights are drawn from the seed."""
    header = Header(
        pictures=pictures, seed=seed, latent_step=1.0, autoencoder=autoencoder.reference, denoising=denoising
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        denoiser = Denoiser(
            denoising.network, pictures=pictures, seed=seed, latent_channels=autoencoder.reference.latent_channels
        )
    return NetworkDecoder(
        header=header, denoising=denoising, denoiser=denoiser.to(autoencoder.device), autoencoder=autoencoder
    )
