"""Codes to latents by the context model, then to pixels by the autoencoder."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.codes.latent_coding import Symbols, decode_symbols
from unicorn_codec.devices import map_in_workers
from unicorn_codec.format.code_table import (
    Codes,
    decoder_step,
    is_avif,
    is_half_size,
    is_in_sequence,
    model_level,
    unmark_half_size,
)
from unicorn_codec.format.header import Header
from unicorn_codec.pictures.avif import decode_avif
from unicorn_codec.pictures.avif_sequence import chain_of, decode_chains
from unicorn_codec.transform.autoencoder import Autoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Symbols (N, C, h, w) of some pictures of a batch, all at half size or none, and their places in it."""

    places: Sequence[int]
    symbols: Symbols
    half: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDecoder:
    """Decodes codes by their context model and autoencoder; AVIF codes by the AVIF decoder."""

    header: Header
    codes: Codes
    positions: NDArray[np.int64]
    autoencoder: Autoencoder
    model: ContextModel

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Decode the codes of pictures of one size; return a function that makes the pixels. See ``PictureDecoder``.

        Raises:
            InvalidField: a code is damaged.
            PackageMissing: a picture is stored as AVIF, and this Pillow has none.
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
        parts = [
            *self._decode_latents(whole, width, height, half=False),
            *self._decode_latents(halves, width, height, half=True),
        ]
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
        """Put pictures of a sequence next to each other. Raises ``InvalidField`` as ``chain_of``."""
        streams, wanted = self.codes.streams, defaultdict[int, list[int]](list)
        for index in indices:
            position = int(self.positions[index])
            wanted[chain_of(streams, position)[0] if is_in_sequence(streams[position]) else position].append(index)
        return [index for together in wanted.values() for index in together]

    def _decode_latents(self, codes: dict[int, bytes], width: int, height: int, *, half: bool) -> Iterator[_Part]:
        """Decode codes of latents, all of pictures at half size or none, in batches for the autoencoder."""
        cell = self.header.autoencoder.downsampling * (2 if half else 1)
        rows, columns = (-(-side // cell) for side in (height, width))
        level = model_level(self.codes.level, half=half)
        symbols = decode_symbols(self.model, level, list(codes.values()), rows, columns, short=self.codes.short)
        together, places = self.autoencoder.pictures_at_once(height, width), list(codes)
        for start in range(0, len(codes), together):
            part = slice(start, start + together)
            yield _Part(places=places[part], symbols=symbols[part], half=half)
