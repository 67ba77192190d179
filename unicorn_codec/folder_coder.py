"""A folder's pictures to codes of a step, again and again: latents are made anew for every coding.

read_picture > Autoencoder.encode > refine_latents > quantise_latents > encode_images
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import CodeModel, level_of
from unicorn_codec.code_table import Codes
from unicorn_codec.codes import LARGEST, encode_images
from unicorn_codec.config import ReadOptions
from unicorn_codec.images import Folder, read_picture
from unicorn_codec.latent_set import encode_batches
from unicorn_codec.picture_table import serialize_names, serialize_sizes
from unicorn_codec.rate_model import RateModel
from unicorn_codec.refinement import PIXELS_AT_ONCE, refine_latents

SAMPLE_IMAGES = 48
REFINED_SAMPLE_IMAGES = 24
KEPT_BYTES = 1 << 28
"""Latents that are kept for another coding, at most."""


class FolderCoder:
    """A folder and what codes it. It keeps its first latents; all those of a large folder would not fit into memory."""

    def __init__(self, pictures: Folder, read: ReadOptions, autoencoder: EmbeddedAutoencoder, model: CodeModel) -> None:
        self.pictures, self.model = pictures, model
        self.read, self.autoencoder = read, autoencoder
        self._kept: list[tuple[list[int], Tensor]] = []
        self._room = KEPT_BYTES
        self.overhead = overhead_of(pictures)

    def tuned(self, tuning: bytes | None) -> "FolderCoder":
        """This coder, for the decoder that an archive's change makes; latents that it keeps are shared."""
        if tuning is None:
            return self
        other = copy.copy(self)
        other.autoencoder = self.autoencoder.changed(tuning)
        return other

    def encode(self, step: float, progress: Callable[[int, int], None], *, rounds: int = 0) -> Codes:
        """Codes of all pictures, by position, refined in so many rounds."""
        count = len(self.pictures.pictures)
        streams, done = [b""] * count, 0
        for batch, latents in self._all_latents():
            for some, moved in self._refined(batch, latents, step, rounds):
                for position, stream in zip(some, encode_latents(self.model, moved, step), strict=True):
                    streams[position] = stream
                done += len(some)
                progress(done, count)
        return Codes(level=level_of(step), model_sha256=self.model.sha256, streams=tuple(streams))

    def growth_by_refinement(self, step: float, rounds: int, progress: Callable[[int, int], None]) -> float:
        """How many times as long refined codes are as plain ones, as some pictures tell."""
        positions = self._sample(REFINED_SAMPLE_IMAGES)
        plain = refined = done = 0
        for batch, latents in self.latents(positions, lambda *_: None):
            plain += sum(map(len, encode_latents(self.model, latents, step)))
            for some, moved in self._refined(batch, latents, step, rounds):
                refined += sum(map(len, encode_latents(self.model, moved, step)))
                done += len(some)
                progress(done, len(positions))
        return refined / plain

    @cached_property
    def _rate(self) -> RateModel:
        return RateModel.of(self.model).to(self.autoencoder.device)

    def _refined(
        self, batch: Sequence[int], latents: Tensor, step: float, rounds: int
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Pictures of one size and their latents to be rounded, a part of the batch at a time."""
        if not rounds:
            yield batch, latents
            return
        pictures = self.pictures.pictures
        together = max(1, PIXELS_AT_ONCE // (pictures[batch[0]].width * pictures[batch[0]].height))
        for start in range(0, len(batch), together):
            some = batch[start : start + together]
            read = [read_picture(self.pictures, pictures[position], self.read) for position in some]
            pixels = torch.from_numpy(np.stack(read))
            part = latents[start : start + together]
            yield some, refine_latents(self.autoencoder, self._rate, pixels, part, step, rounds)

    def file_bytes(self, codes: Codes) -> int:
        """Bytes of an archive's file with these codes, about."""
        return self.overhead + sum(map(len, codes.streams))

    def sample(self, progress: Callable[[int, int], None]) -> tuple[list[Tensor], float]:
        """Latents of some pictures, evenly from the folder, and the part of its pixels that they are."""
        positions = self._sample(SAMPLE_IMAGES)
        pixels = sum(self.pictures.pictures[p].width * self.pictures.pictures[p].height for p in positions)
        return [latents for _, latents in self.latents(positions, progress)], pixels / self.pictures.pixels

    def _sample(self, images: int) -> range:
        """Positions of about so many pictures, evenly from the folder."""
        count = len(self.pictures.pictures)
        return range(0, count, -(-count // images))

    def _all_latents(self) -> Iterator[tuple[list[int], Tensor]]:
        yield from self._kept
        kept = {position for batch, _ in self._kept for position in batch}
        rest = [position for position in range(len(self.pictures.pictures)) if position not in kept]
        for batch, latents in self.latents(rest, lambda *_: None):
            self._room -= latents.nbytes
            if self._room >= 0:
                self._kept.append((batch, latents))
            yield batch, latents

    def latents(
        self, positions: Sequence[int], progress: Callable[[int, int], None]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Raw latents of some pictures, a batch of one size at a time."""
        multiple = self.autoencoder.reference.downsampling
        return encode_batches(self.pictures, positions, self.read, self.autoencoder, multiple, progress)


def overhead_of(pictures: Folder) -> int:
    """Bytes of an archive's file beside its codes, about: names, sizes, the codes' lengths."""
    images = len(pictures.pictures)
    names = len(serialize_names(pictures.names, images)) + len(serialize_sizes(pictures.sizes, images))
    return names + 384 + 22 * images // 8  # beside the rest, a length and a PSNR each


def quantise_latents(latents: Tensor, step: float) -> np.ndarray:
    """(..., C, h, w) raw latents to symbols, int16; the inverse, up to rounding, is a multiplication by the step."""
    # Rounding down more (a dead zone) was measured: it loses more distortion than it saves bits.
    return (latents / step).round().clamp(-LARGEST, LARGEST).numpy().astype(np.int16)


def encode_latents(model: CodeModel, latents: Tensor, step: float) -> list[bytes]:
    """Code of each of (N, C, h, w) raw latents."""
    return encode_images(model, level_of(step), quantise_latents(latents, step))
