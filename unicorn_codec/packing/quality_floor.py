"""No picture below a wanted quality: those that latents would ruin are stored by AVIF instead."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from unicorn_codec.config import PackOptions
from unicorn_codec.decoding import CodeDecoder
from unicorn_codec.format.code_table import Codes
from unicorn_codec.pictures.avif import encode_avif
from unicorn_codec.pictures.avif_sequence import sequences_of
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.images import Folder, Pixels, read_picture
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db

BEST_QUALITY = 100

PSNR_MARGIN_DB = 0.01
MS_SSIM_MARGIN = 1e-4
"""Added to the targets: in another batch or on another machine a pixel's last bit may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFloor:
    """Holds the pictures of a folder against the options' least quality.

    Args:
        avif: AVIF codes by position, as far as any were needed. They are the same whatever the latents' step is.
    """

    pictures: Folder
    options: PackOptions
    avif: dict[int, bytes] = field(default_factory=dict)

    def hold(self, decoder: CodeDecoder, progress: Callable[[int, int], None]) -> Codes:
        """The decoder's codes, replaced where a picture decodes to less than what is wanted.

        Args:
            decoder: of codes whose index is their position.

        Raises:
            PackageMissing: a picture must be replaced, and this Pillow has no AVIF.
        """
        streams = list(decoder.codes.streams)
        sizes = [(picture.width, picture.height) for picture in self.pictures.pictures]
        missed, done = set[int](), 0
        for batch in batches_by_size(sizes):
            for position, decoded in zip(batch, decoder.read(batch, *sizes[batch[0]])(), strict=True):
                if not self.is_reached(self._original(position), decoded):
                    missed.add(position)
            done += len(batch)
            progress(done, len(streams))
        for sequence in sequences_of(streams):
            if not missed.isdisjoint(sequence):  # none of it is left that others would go on from
                missed.update(sequence)
        for position in missed:
            streams[position] = self._avif_of(position)
        return replace(decoder.codes, streams=tuple(streams))

    def is_reached(self, original: Pixels, decoded: Pixels) -> bool:
        """Whether a picture came back well enough, by a small margin."""
        wanted_db, wanted_similarity = self.options.min_psnr_db, self.options.min_ms_ssim
        if wanted_db is not None and psnr_db(original, decoded) < wanted_db + PSNR_MARGIN_DB:
            return False
        return wanted_similarity is None or ms_ssim(original, decoded) >= min(1.0, wanted_similarity + MS_SSIM_MARGIN)

    def _avif_of(self, position: int) -> bytes:
        if position not in self.avif:
            self.avif[position] = smallest_avif(self._original(position), self.is_reached)
        return self.avif[position]

    def _original(self, position: int) -> Pixels:
        return read_picture(self.pictures, self.pictures.pictures[position], self.options.read)


def smallest_avif(original: Pixels, is_reached: Callable[[Pixels, Pixels], bool]) -> bytes:
    """Classic code of the lowest quality that reaches a target; of the highest quality if none does.

    Found by bisection, in at most seven encodings.
    """
    best, low, high = b"", 0, BEST_QUALITY + 1
    while low < high:
        quality = (low + high) // 2
        code, decoded = encode_avif(original, quality)
        if is_reached(original, decoded):
            best, high = code, quality
        else:
            low = quality + 1
            best = best or (code if quality == BEST_QUALITY else b"")
    return best
