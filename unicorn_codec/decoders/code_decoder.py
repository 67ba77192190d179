"""Codes to latents by the context model, then to pixels by the autoencoder."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from unicorn_codec.codes.code_reading import CodeKind, CodeReader, kind_of
from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.codes.latent_coding import Symbols
from unicorn_codec.decoders.picture_decoder import PictureDecoder
from unicorn_codec.devices import map_in_workers
from unicorn_codec.format.alpha_plane import Plane, parse_alpha
from unicorn_codec.format.code_kinds import (
    colour_code,
    is_avif,
    is_gray,
    is_in_sequence,
)
from unicorn_codec.format.picture_tiles import is_tiled, tiles_of
from unicorn_codec.pictures.avif import decode_avif
from unicorn_codec.pictures.avif_sequence import chain_of, decode_chains
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.transparency import with_alpha
from unicorn_codec.transform.autoencoder import Autoencoder, Steps

GRAY_ROWS = 256
"""Rows that are made gray together, which bounds memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Symbols (N, C, h, w) of some pictures of a batch, all at half size or none, and their places in it.

    Args:
        step: of all symbols, or (N, h, w) of their cells.
    """

    places: Sequence[int]
    symbols: Symbols
    step: Steps
    half: bool


class CodeSource(Protocol):
    """Where codes come from."""

    def code(self, index: int) -> bytes:
        """Return the code of a picture. Raise ``FormatError`` if it is damaged."""

    def tiles(self, index: int) -> Sequence[bytes]:
        """Return the codes of the tiles of a large picture. Raise ``FormatError`` if they are damaged."""

    def alpha(self, index: int) -> bytes | None:
        """Return the bytes of a picture's opacity; None if it is opaque. Raise ``FormatError`` if it is damaged."""


@dataclass(frozen=True, slots=True)
class _TileCodes:
    """The codes of one picture's tiles, by number, as those of opaque pictures."""

    codes: Sequence[bytes]

    def code(self, index: int) -> bytes:
        return self.codes[index]

    def tiles(self, index: int) -> Sequence[bytes]:
        return self.codes[index : index + 1]

    def alpha(self, index: int) -> None:
        del index


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDecoder:
    """Decodes codes by their context model and autoencoder; AVIF codes by the AVIF decoder.

    Args:
        codes: read one by one.
        latent_step: quantisation step of the codes.
        level: coarseness of that step, see ``model_level``.
        short: whether the codes are short ones.
        fast: compute pixels by ``fast_arithmetic``.
    """

    codes: CodeSource
    latent_step: float
    level: int
    short: bool
    autoencoder: Autoencoder
    model: ContextModel
    fast: bool = False

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Decode the codes of pictures of one size; return a function that makes the pixels. See ``PictureDecoder``.

        Raises:
            FormatError: a code is damaged.
            PackageMissing: a picture is stored as AVIF, and this Pillow has none.
        """
        if is_tiled(width, height):
            pictures_of_tiles = [
                read_tiles(self.codes, index, width, height, lambda tiles: replace(self, codes=tiles))
                for index in indices
            ]
            return lambda: iter(pictures_of_tiles)
        marked, planes = dict[int, bytes](), dict[int, Plane]()
        for n, index in enumerate(indices):
            marked[n] = self.codes.code(index)
            alpha = self.codes.alpha(index)
            if alpha is not None:
                planes[n] = parse_alpha(alpha, width, height)
        gray = {n for n, code in marked.items() if is_gray(code)}
        codes = {n: colour_code(code) for n, code in marked.items()}
        in_sequences = {n: indices[n] for n, code in codes.items() if is_in_sequence(code)}
        chains = [chain_of(self.codes.code, index) for index in in_sequences.values()]
        decoded = decode_chains(chains, self.codes.code, width, height) if chains else {}
        avif = {n: decoded[index] for n, index in in_sequences.items()}
        avif |= {
            n: decode_avif(code, width, height) for n, code in codes.items() if is_avif(code) and n not in in_sequences
        }
        of_kind = defaultdict[CodeKind, dict[int, bytes]](dict)
        for n, code in codes.items():
            if n not in avif:
                of_kind[kind_of(code)][n] = code
        parts = [part for kind, some in of_kind.items() for part in self._decode_latents(some, kind, height, width)]
        parts.sort(key=lambda part: part.places[0])

        def make(part: _Part) -> dict[int, np.ndarray]:
            step = part.step
            latents = torch.from_numpy(part.symbols).float()
            latents.mul_(step[:, None] if isinstance(step, torch.Tensor) else step)
            decoded = self.autoencoder.decode_pictures(latents, height, width, step, half=part.half, fast=self.fast)
            return dict(zip(part.places, decoded, strict=True))

        def pictures() -> Iterator[np.ndarray]:
            ready, pixels = avif.copy(), width * height * self.autoencoder.pictures_at_once(height, width)
            with closing(map_in_workers(make, parts, self.autoencoder.device, pixels=pixels)) as made:
                for n in codes:
                    while n not in ready:
                        ready |= next(made)
                    colours = to_gray(ready.pop(n)) if n in gray else ready.pop(n)
                    yield with_alpha(colours, planes.pop(n, None))

        return pictures

    def _decode_latents(self, codes: dict[int, bytes], kind: CodeKind, height: int, width: int) -> Iterator[_Part]:
        """Decode codes of latents of one kind, in batches for the autoencoder."""
        reader = CodeReader(
            model=self.model,
            latent_step=self.latent_step,
            level=self.level,
            short=self.short,
            downsampling=self.autoencoder.reference.downsampling,
        )
        symbols, step = reader.read(list(codes.values()), kind, height, width)
        together, places, half = self.autoencoder.pictures_at_once(height, width), list(codes), kind[0]
        for start in range(0, len(codes), together):
            part = slice(start, start + together)
            of_part = step if isinstance(step, float) else torch.from_numpy(step[part])
            yield _Part(places=places[part], symbols=symbols[part], step=of_part, half=half)


def read_tiles(
    source: CodeSource, index: int, width: int, height: int, decoder_of: Callable[[CodeSource], PictureDecoder]
) -> np.ndarray:
    """Decode a large picture, a tile at a time.

    Args:
        decoder_of: returns the decoder that reads the tiles' codes, by number, from a source.

    Raises:
        FormatError: a code is damaged.
    """
    codes, alpha = source.tiles(index), source.alpha(index)
    plane = None if alpha is None else parse_alpha(alpha, width, height)
    decoder = decoder_of(_TileCodes(codes))
    pixels = np.empty((height, width, 3), np.uint8)
    for number, tile in enumerate(tiles_of(width, height)):
        (pixels[tile.place],) = decoder.read([number], tile.width, tile.height)()
    return with_alpha(pixels, plane)


def to_gray(pixels: Pixels) -> Pixels:
    """Replace the colours of pixels (H, W, 3) by their luma (BT.601), the same in all channels."""
    gray = np.empty_like(pixels)
    for start in range(0, len(pixels), GRAY_ROWS):
        band = slice(start, start + GRAY_ROWS)
        red, green, blue = np.moveaxis(pixels[band].astype(np.uint32), -1, 0)
        gray[band] = ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)[..., None]
    return gray
