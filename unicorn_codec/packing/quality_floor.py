"""The quality floor: pictures below it are stored as AVIF at the lowest quality that reaches it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from unicorn_codec.config import CodesOptions
from unicorn_codec.format.picture_tiles import is_tiled, join_codes
from unicorn_codec.packing.packed import Codes
from unicorn_codec.packing.packed_decoding import PackedDecoder
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.avif import encode_avif
from unicorn_codec.pictures.avif_sequence import sequences_of
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.spool import Spool, SpooledCodes

BEST_QUALITY = 100

PSNR_MARGIN_DB = 0.01
MS_SSIM_MARGIN = 1e-4
"""Margin above the floor, because last bits of pixels may differ in another batch or on another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFloor:
    """Enforces the options' minimum quality on the pictures of a folder.

    Args:
        avif: AVIF codes by position, made when needed. They do not depend on the latents' step.
    """

    pictures: PictureSource
    options: CodesOptions
    avif: Spool = field(default_factory=Spool)

    def enforce(self, codes: Codes, decoder: PackedDecoder, progress: Callable[[int, int], None]) -> Codes:
        """Return the codes, with AVIF in place of those that decode below the floor.

        Args:
            codes: by position.
            decoder: of these codes.

        Raises:
            PackageMissing: a picture must be replaced, and this Pillow has no AVIF.
        """
        sizes = self.pictures.sizes
        missed, done = set[int](), 0
        for batch in batches_by_size(sizes):
            for position, decoded in zip(batch, decoder.read(batch, *sizes[batch[0]])(), strict=True):
                if not self.is_reached(self.pictures.with_alpha(position), decoded):
                    missed.add(position)
            done += len(batch)
            progress(done, len(codes.streams))
        for sequence in sequences_of(codes.streams):
            if not missed.isdisjoint(sequence):  # the others could not be decoded without the missing one
                missed.update(sequence)
        for position in missed:
            if position not in self.avif:
                self.avif[position] = self._avif_of(position)
        return replace(codes, streams=SpooledCodes(codes.streams, len(codes.streams), self.avif, missed))

    def is_reached(self, original: Pixels, decoded: Pixels) -> bool:
        """Return whether a picture is above the floor, with a small margin.

        Args:
            original: (H, W, 3), or (H, W, 4) with transparency.
            decoded: colours (H, W, 3).
        """
        least_db, least_similarity = self.options.min_psnr_db, self.options.min_ms_ssim
        if least_db is not None and psnr_db(original, decoded) < least_db + PSNR_MARGIN_DB:
            return False
        return least_similarity is None or ms_ssim(original, decoded) >= min(1.0, least_similarity + MS_SSIM_MARGIN)

    def _avif_of(self, position: int) -> bytes:
        if is_tiled(*self.pictures.size_of(position)):  # each tile reaches the floor for itself
            tiles = self.pictures.tiles_of(position)
            return join_codes([self._smallest(position, tiles.with_alpha(number)) for number in range(len(tiles))])
        return self._smallest(position, self.pictures.with_alpha(position))

    def _smallest(self, position: int, original: Pixels) -> bytes:
        return self.pictures.mark_if_gray(position, smallest_avif(original, self.is_reached))


def smallest_avif(original: Pixels, is_reached: Callable[[Pixels, Pixels], bool]) -> bytes:
    """Return the AVIF code of the lowest quality that reaches the floor; of the highest quality if none does.

    Bisects, in at most seven encodings.

    Args:
        original: (H, W, 3), or (H, W, 4) with transparency, which the code does not hold.
    """
    colours = np.ascontiguousarray(original[..., :3])
    best, low, high = b"", 0, BEST_QUALITY + 1
    while low < high:
        quality = (low + high) // 2
        code, decoded = encode_avif(colours, quality)
        if is_reached(original, decoded):
            best, high = code, quality
        else:
            low = quality + 1
            best = best or (code if quality == BEST_QUALITY else b"")
    return best
