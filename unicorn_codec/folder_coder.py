"""A folder's pictures to codes of a step, again and again: latents are made anew for every coding.

read_picture > Autoencoder.encode > quantise_latents > encode_images
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import CodeModel, level_of
from unicorn_codec.code_table import Codes
from unicorn_codec.codes import LARGEST, encode_images
from unicorn_codec.config import ReadOptions
from unicorn_codec.images import Folder
from unicorn_codec.latent_set import encode_batches
from unicorn_codec.picture_table import serialize_names, serialize_sizes

SAMPLE_IMAGES = 48
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

    def encode(self, step: float, progress: Callable[[int, int], None]) -> Codes:
        """Codes of all pictures, by position."""
        streams: list[bytes] = [b""] * len(self.pictures.pictures)
        for batch, latents in self._all_latents(progress):
            for position, stream in zip(batch, encode_latents(self.model, latents, step), strict=True):
                streams[position] = stream
        return Codes(level=level_of(step), model_sha256=self.model.sha256, streams=tuple(streams))

    def file_bytes(self, codes: Codes) -> int:
        """Bytes of an archive's file with these codes, about."""
        return self.overhead + sum(map(len, codes.streams))

    def sample(self, progress: Callable[[int, int], None]) -> tuple[list[Tensor], float]:
        """Latents of some pictures, evenly from the folder, and the part of its pixels that they are."""
        count = len(self.pictures.pictures)
        positions = range(0, count, -(-count // SAMPLE_IMAGES))
        pixels = sum(self.pictures.pictures[p].width * self.pictures.pictures[p].height for p in positions)
        return [latents for _, latents in self.latents(positions, progress)], pixels / self.pictures.pixels

    def _all_latents(self, progress: Callable[[int, int], None]) -> Iterator[tuple[list[int], Tensor]]:
        yield from self._kept
        count = len(self.pictures.pictures)
        kept = {position for batch, _ in self._kept for position in batch}
        rest = [position for position in range(count) if position not in kept]
        for batch, latents in self.latents(rest, lambda done, _: progress(len(kept) + done, count)):
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
