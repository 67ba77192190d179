"""Pictures that AVIF codes better than latents, such as print, drawings and screens: found by rate and distortion.

judge_avif: windows of each picture > their cost as latents > their cost as AVIF of the same quality
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import torch

from unicorn_codec.concurrency import map_in_threads
from unicorn_codec.devices import worker_count
from unicorn_codec.format.picture_tiles import is_tiled, join_codes
from unicorn_codec.packing.candidates import WINDOW, WINDOWS_AT_ONCE, CandidateChooser, windows_of
from unicorn_codec.packing.folder_encoder import FINEST_OF_SEQUENCES, FolderEncoder
from unicorn_codec.packing.near_duplicates import total_distortion
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.refinement import FINEST, bits_worth
from unicorn_codec.pictures.avif import QUICK, AvifEncoder, encode_avif
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.quality import avif_quality_of, quality_of_step
from unicorn_codec.transform.distortion import judged_distortion

REFINED, LEARNED = 0.93, 0.75
"""Approximate relative cost of latents after refinement, and the least that learning and refinement may reach."""

SAMPLED = 8
GRID = 10
BEST_QUALITY = 100
"""The bytes of other qualities are estimated from some pictures, at multiples of a step, and interpolated."""


@dataclass(frozen=True, slots=True)
class AvifCandidates:
    """Pictures that cost less as AVIF than as latents.

    Args:
        quality: AVIF quality at which they were judged.
        code_bytes: estimated bytes of each at this quality, by position.
        ratios: cost of each as AVIF, relative to its latents without refinement, by position.
    """

    quality: int
    code_bytes: Mapping[int, float]
    ratios: Mapping[int, float]

    def below(self, ratio: float) -> "AvifCandidates":
        """Return those that cost less than a part of their latents."""
        chosen = {position: size for position, size in self.code_bytes.items() if self.ratios[position] < ratio}
        return AvifCandidates(self.quality, chosen, self.ratios)


class AvifPictures:
    """Pictures that are stored as AVIF, each alone: ``SequencedPictures``.

    Args:
        settings: of the encoder.
        factors: by which a picture's step is another one than the folder's, by position.
    """

    def __init__(
        self,
        pictures: PictureSource,
        candidates: AvifCandidates,
        settings: AvifEncoder,
        factors: Mapping[int, float] | None = None,
    ) -> None:
        self._pictures, self._candidates, self._factors = pictures, candidates, factors or {}
        self._settings = settings
        self.positions: Set[int] = frozenset(candidates.code_bytes)
        self._sampled: dict[int, int] = {}

    def bytes_at(self, step: float) -> float:
        """Estimate the bytes of their codes, at the quality of a quantisation step."""
        if not self.positions:
            return 0.0
        judged = self._candidates.code_bytes
        of_sample = sum(judged[position] for position in self._sample)
        return sum(judged.values()) * self._sample_bytes(matching_quality(step)) / of_sample

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        """Yield their codes by position, some at a time."""

        def encode(item: tuple[int, Pixels]) -> dict[int, bytes]:
            position, pixels = item
            quality = matching_quality(step * self._factors.get(position, 1.0))
            return {position: encode_avif(pixels, quality, self._settings)[0]}

        items = ((position, self._pictures.picture(position)) for position in sorted(self.positions))
        yield from map_in_threads(encode, items, threads=worker_count(WINDOW**2, torch.get_num_threads()))

    @property
    def _sample(self) -> list[int]:
        positions = sorted(self.positions)
        return positions[:: -(-len(positions) // SAMPLED)]

    def _sample_bytes(self, quality: int) -> float:
        """Return the bytes of some pictures' codes."""
        low = min(quality // GRID * GRID, BEST_QUALITY - GRID)
        for known in (low, low + GRID):
            if known not in self._sampled:
                codes = (encode_avif(self._pictures.picture(p), known, self._settings)[0] for p in self._sample)
                self._sampled[known] = sum(map(len, codes))
        part = (quality - low) / GRID
        return self._sampled[low] ** (1 - part) * self._sampled[low + GRID] ** part


def matching_quality(step: float) -> int:
    """Return the AVIF quality that looks like latents of a step; at steps finer than those of latents, a higher one."""
    if step >= FINEST:
        return avif_quality_of(quality_of_step(step))
    of_finest = avif_quality_of(quality_of_step(FINEST))
    return round(of_finest + (BEST_QUALITY - of_finest) * min(1.0, math.log(step) / math.log(FINEST_OF_SEQUENCES)))


def avif_of(pictures: PictureSource, position: int, quality: int, settings: AvifEncoder) -> bytes:
    """Return the AVIF code of a picture, or the joined ones of its tiles."""
    if not is_tiled(*pictures.size_of(position)):
        return pictures.mark_if_gray(position, encode_avif(pictures.picture(position), quality, settings)[0])
    tiles = pictures.tiles_of(position)
    codes = (encode_avif(tiles.picture(number), quality, settings)[0] for number in range(len(tiles)))
    return join_codes([pictures.mark_if_gray(position, code) for code in codes])


def judge_avif(encoder: FolderEncoder, step: float, progress: Callable[[int, int], None]) -> AvifCandidates:
    """Find the pictures that cost less as AVIF than as latents of a step, among all that are to be coded as latents."""
    source, quality = encoder.pictures, matching_quality(step)
    others = encoder.sequences.positions | source.tiled | source.masked  # AVIF pictures have no cell maps
    positions = [position for position in range(len(source)) if position not in others]
    sizes = source.sizes
    threads = worker_count(WINDOW**2, torch.get_num_threads())

    def judge(item: tuple[int, Sequence[Pixels], float]) -> tuple[int, float, float]:
        position, windows, cost = item
        code_bytes, error = measure_avif(windows, quality)
        of_all = source.pixels_of(position) / sum(window[..., 0].size for window in windows)
        return position, code_bytes * of_all, (8 * code_bytes + bits_worth(error, step)) / cost

    def costs() -> Iterator[tuple[int, Sequence[Pixels], float]]:
        for batch in batches_by_size([sizes[position] for position in positions]):
            for start in range(0, len(batch), WINDOWS_AT_ONCE):
                some = [positions[place] for place in batch[start : start + WINDOWS_AT_ONCE]]
                windows = [windows_of(source.picture(position)) for position in some]
                yield from zip(some, windows, latent_costs(encoder.chooser, some, windows, step), strict=True)

    cheaper = list[tuple[int, float, float]]()
    for done, judged in enumerate(map_in_threads(judge, costs(), threads=threads), start=1):
        if judged[2] < 1:
            cheaper.append(judged)
        progress(done, len(positions))
    cheaper.sort()
    code_bytes = {position: size for position, size, _ in cheaper}
    return AvifCandidates(quality, code_bytes, {position: ratio for position, _, ratio in cheaper})


def latent_costs(
    chooser: CandidateChooser, positions: Sequence[int], windows: Sequence[Sequence[Pixels]], step: float
) -> list[float]:
    """Return the cost of each picture's windows as latents, in bits, without refinement; the chooser's ways are noted.

    Args:
        windows: of pictures of one size.
    """
    counts = [len(some) for some in windows]
    pixels = torch.from_numpy(np.stack([window for some in windows for window in some]))
    judged = [chooser.judge(some, step) for some in pixels.split(WINDOWS_AT_ONCE)]
    plain, costs = (np.concatenate(parts, axis=1) for parts in zip(*judged, strict=True))
    firsts = np.cumsum([0, *counts[:-1]])
    whole, half = np.add.reduceat(plain, firsts, axis=1)
    chooser.ways.note(positions, step, half < whole)
    return [float(cost) for cost in np.add.reduceat(costs.min(0), firsts)]


def measure_avif(windows: Sequence[Pixels], quality: int) -> tuple[float, float]:
    """Return the bytes of windows as AVIF, and their distortion, summed over pixels."""
    windows = [np.ascontiguousarray(window) for window in windows]
    codes, decoded = zip(*(encode_avif(window, quality, QUICK) for window in windows), strict=True)
    return sum(map(len, codes)), total_distortion(decoded, windows, judged_distortion)
