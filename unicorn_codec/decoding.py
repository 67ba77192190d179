"""Indices to pixels: latents from the network or from codes, then the autoencoder.

What unpacking does, and what packing looks at its work with.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.codes.latent_coding import Symbols, decode_symbols
from unicorn_codec.devices import map_in_workers
from unicorn_codec.format import generator
from unicorn_codec.format.code_table import (
    Codes,
    decoder_step,
    is_avif,
    is_half_size,
    is_in_sequence,
    model_level,
    unmark_half_size,
)
from unicorn_codec.format.header import Denoising, Header
from unicorn_codec.network.denoiser import Denoiser
from unicorn_codec.network.diffusion import (
    LAST_TIMESTEP_WITH_SIGNAL,
    LATENT_LIMIT_STDS,
    latents_from_noise,
    sample_ddim,
)
from unicorn_codec.network.latent_set import denormalise_latents
from unicorn_codec.pictures.avif import decode_avif
from unicorn_codec.pictures.avif_sequence import chain_of, decode_chains
from unicorn_codec.transform.autoencoder import Autoencoder


class PictureDecoder(Protocol):
    """What an archive needs to get its pictures."""

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """What makes the pictures, uint8 (height, width, 3), of pictures that are all of one size, as they get ready.

        All but the autoencoder's work is done: it leaves a thread the time to read the next pictures.
        """

    def together(self, indices: Sequence[int]) -> list[int]:
        """The pictures in an order in which those that are decoded from each other are next to each other."""


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
        """Normalised latents (N, C, h, w) of pictures that are all of one size.

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
        """What makes the pictures, uint8 (height, width, 3), of pictures that are all of one size."""
        normalised = self.sample(indices, width, height, steps=steps, seed=seed)
        denoising = self.denoising
        latents = denormalise_latents(normalised, denoising.means, denoising.stds, denoising.latent_std)
        return lambda: self.autoencoder.iterate_pictures(latents, height, width, self.header.latent_step)

    def together(self, indices: Sequence[int]) -> list[int]:
        """As they are: each is decoded alone."""
        return list(indices)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Symbols (N, C, h, w) of some pictures of a batch, at half size or not, and the pictures' places in it."""

    places: Sequence[int]
    symbols: Symbols
    half: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDecoder:
    """An archive's codes with the autoencoder that they belong to."""

    header: Header
    codes: Codes
    positions: NDArray[np.int64]
    autoencoder: Autoencoder
    model: ContextModel

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """What makes the pictures, uint8 (height, width, 3), of pictures that are all of one size; there are no steps.

        Raises:
            InvalidField: a code is damaged.
            PackageMissing: one is of a AVIF encoder that is not installed.
        """
        streams, positions = self.codes.streams, self.positions[list(indices)].tolist()
        codes = {n: streams[position] for n, position in enumerate(positions)}
        in_sequences = {n: positions[n] for n, code in codes.items() if is_in_sequence(code)}
        decoded = decode_chains(streams, in_sequences.values(), width, height)
        avif = {n: decoded[position] for n, position in in_sequences.items()}
        avif |= {
            n: decode_avif(code, width, height) for n, code in codes.items() if is_avif(code) and n not in in_sequences
        }
        halves = {n: unmark_half_size(code) for n, code in codes.items() if is_half_size(code)}
        whole = {n: code for n, code in codes.items() if n not in avif and n not in halves}
        parts = [*self._parts(whole, width, height, half=False), *self._parts(halves, width, height, half=True)]
        parts.sort(key=lambda part: part.places[0])

        def make(part: _Part) -> dict[int, np.ndarray]:
            step = decoder_step(self.header.latent_step, half=part.half)
            latents = torch.from_numpy(part.symbols).float() * step
            decoded = self.autoencoder.decode_pictures(latents, height, width, step, half=part.half)
            return dict(zip(part.places, decoded, strict=True))

        def pictures() -> Iterator[np.ndarray]:
            ready, pixels = avif.copy(), width * height * self.autoencoder.pictures_at_once(height, width)
            with closing(map_in_workers(make, parts, self.autoencoder.device, pixels=pixels)) as made:
                for n in codes:
                    while n not in ready:
                        ready |= next(made)
                    yield ready.pop(n)

        return pictures

    def together(self, indices: Sequence[int]) -> list[int]:
        """The pictures with those of a sequence next to each other. Raises ``InvalidField`` as ``chain_of``."""
        streams, wanted = self.codes.streams, defaultdict[int, list[int]](list)
        for index in indices:
            position = int(self.positions[index])
            wanted[chain_of(streams, position)[0] if is_in_sequence(streams[position]) else position].append(index)
        return [index for together in wanted.values() for index in together]

    def _parts(self, codes: dict[int, bytes], width: int, height: int, *, half: bool) -> Iterator[_Part]:
        """Codes of latents, all of pictures at half size or none, decoded and cut into what is computed together."""
        cell = self.header.autoencoder.downsampling * (2 if half else 1)
        rows, columns = (-(-side // cell) for side in (height, width))
        level = model_level(self.codes.level, half=half)
        symbols = decode_symbols(self.model, level, list(codes.values()), rows, columns, short=self.codes.short)
        together, places = self.autoencoder.pictures_at_once(height, width), list(codes)
        for start in range(0, len(codes), together):
            part = slice(start, start + together)
            yield _Part(places=places[part], symbols=symbols[part], half=half)
