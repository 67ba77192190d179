"""Near-duplicates, such as stills of a fixed camera: search, and coding as sequences if that costs less.

find_near_duplicates: thumbnails > groups
worthwhile: groups > groups whose sequence costs less than codes of latents, or than AVIF of each picture
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.concurrency import MAX_PENDING, map_in_threads
from unicorn_codec.devices import worker_count
from unicorn_codec.packing.candidates import WINDOW, WINDOWS_AT_ONCE, CandidateChooser, middle
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.refinement import bits_worth
from unicorn_codec.packing.thumbnail_search import group_alike, thumbnail
from unicorn_codec.pictures.avif import encode_avif
from unicorn_codec.pictures.avif_sequence import encode_sequence, sequence_codes
from unicorn_codec.pictures.batches import places_by_size
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.quality import avif_quality_of, quality_of_step
from unicorn_codec.spool import Spool
from unicorn_codec.transform.distortion import distortion

MOST_PIXELS = 1 << 27
"""Maximum number of pixels in a group, because encoding holds them in memory."""

GRID = 10
"""AVIF qualities are measured at multiples of this step, and interpolated in between."""

BEST_QUALITY = 100
GOLDEN = 0.618
"""The golden ratio, whose multiples modulo 1 are evenly distributed."""

REFINED = 0.95
"""Approximate relative cost of latents after a dozen rounds of refinement; after one it is 0.98."""

HOPELESS = 1.3
"""Cost of a sequence at the likely quality, relative to latents, above which it is discarded: for groups of photos,
other qualities lowered the cost by a fifth at most."""


class NearDuplicateGroup:
    """Near-duplicates of one size. Caches encodings.

    Args:
        positions: ascending.
        windows: reads the central windows of pictures.
        codes: of all groups, where a group keeps those it made last.
    """

    def __init__(
        self, chooser: CandidateChooser, positions: Sequence[int], windows: "WindowCache", codes: Spool
    ) -> None:
        self.positions = list(positions)
        self._chooser, self._windows, self._codes = chooser, windows, codes
        self._measured: dict[int, tuple[float, float]] = {}
        self._measured_alone: dict[int, tuple[float, float]] = {}
        self._quality: int | None = None

    def quality_at(self, step: float) -> float:
        """Return the AVIF quality with the lowest rate-distortion cost of the sequence.

        Args:
            step: quantisation step of latents, which sets the trade-off between rate and distortion.
        """
        best = likely_quality(step)
        for direction in (-GRID, GRID):
            while 0 <= best + direction <= BEST_QUALITY and (
                self._cost(best + direction, step) < self._cost(best, step)
            ):
                best += direction
        near = np.linspace(max(0, best - GRID), min(best + GRID, BEST_QUALITY), 4 * GRID + 1)
        return float(min(near, key=lambda quality: self._cost(quality, step)))

    def quality_like(self, quality: int) -> int:
        """Return the approximate lowest quality at which the sequence is no worse than separate AVIF pictures."""
        _, wanted = self._alone(quality)
        while quality < BEST_QUALITY and self._measure(quality)[1] > wanted:
            quality += 1
        return quality

    def bytes_at(self, step: float) -> float:
        """Estimate the bytes of the sequence at its best quality."""
        return self._measure(self.quality_at(step))[0] * self._pixel_ratio

    def codes(self, quality: int) -> dict[int, bytes]:
        """Return the code of each picture by position."""
        if self._quality != quality:
            units, _ = encode_sequence(
                [self._chooser.pictures.picture(position) for position in self.positions], quality
            )
            self._codes.update(sequence_codes(units, self.positions))
            self._quality = quality
        return {position: self._codes[position] for position in self.positions}

    def pays_at(self, step: float) -> bool:
        """Return whether the sequence costs less than latents at a step."""
        cost = 0.0
        for start in range(0, len(self.positions), WINDOWS_AT_ONCE):
            pixels = torch.from_numpy(np.stack(self.windows[start : start + WINDOWS_AT_ONCE]))
            chooser = self._chooser
            ways = chooser.costs(pixels, chooser.encode(pixels), chooser.encode_halves(pixels), step)
            cost += float(torch.minimum(*ways).sum())
        if self._cost(likely_quality(step), step) > HOPELESS * cost:
            return False
        return self._cost(self.quality_at(step), step) < REFINED * cost

    def beats_avif(self, quality: int) -> bool:
        """Return whether the sequence takes fewer bytes than separate AVIF pictures at no lower quality."""
        return self._measure(self.quality_like(quality))[0] < self._alone(quality)[0]

    def _cost(self, quality: float, step: float) -> float:
        """Return the rate-distortion cost of the windows' sequence in bits."""
        size, error = self._measure(quality)
        return 8 * size + bits_worth(error, step)

    def _measure(self, quality: float) -> tuple[float, float]:
        """Interpolate the bytes of the windows' sequence at a quality, and its distortion, summed over pixels."""
        low = min(int(quality) // GRID * GRID, BEST_QUALITY - GRID)
        part = (quality - low) / GRID
        if part in (0, 1):
            return self._measure_exactly(low + round(part) * GRID)
        worse, better = self._measure_exactly(low), self._measure_exactly(low + GRID)
        size, error = (a ** (1 - part) * b**part for a, b in zip(worse, better, strict=True))
        return size, error

    def _measure_exactly(self, quality: int) -> tuple[float, float]:
        if quality not in self._measured:
            self.measure(quality, self.windows)
        return self._measured[quality]

    def measure(self, quality: int, windows: Sequence[Pixels]) -> None:
        """Encode the windows' sequence at a quality, and cache its bytes and distortion."""
        units, decoded = encode_sequence(windows, quality)
        self._measured[quality] = sum(map(len, units)), total_distortion(decoded, windows) + 1e-9

    def _alone(self, quality: int) -> tuple[float, float]:
        """Return bytes and distortion of separate AVIF pictures of the windows."""
        if quality not in self._measured_alone:
            codes, decoded = zip(*(encode_avif(window, quality) for window in self.windows), strict=True)
            self._measured_alone[quality] = sum(map(len, codes)), total_distortion(decoded, self.windows)
        return self._measured_alone[quality]

    @property
    def windows(self) -> list[Pixels]:
        """The pictures' central windows."""
        return self._windows.get(tuple(self.positions))

    @property
    def _pixel_ratio(self) -> float:
        """Pixels of a picture divided by those of its window."""
        width, height = self._chooser.pictures.size_of(self.positions[0])
        return width * height / (min(width, WINDOW) * min(height, WINDOW))


def likely_quality(step: float) -> int:
    """Return the measured AVIF quality nearest to the quality of latents at a step."""
    return round(avif_quality_of(quality_of_step(step)) / GRID) * GRID


class Sequences:
    """Near-duplicates that are stored as sequences: ``SequencedPictures``."""

    def __init__(self, groups: Sequence[NearDuplicateGroup]) -> None:
        self._groups = groups
        self.positions: Set[int] = frozenset(position for group in groups for position in group.positions)

    def bytes_at(self, step: float) -> float:
        """Estimate the bytes of their codes, with the trade-off between rate and distortion of a quantisation step."""
        return sum(group.bytes_at(step) for group in self._groups)

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        """Yield their codes by position, a sequence at a time."""
        for number, group in enumerate(self._groups, start=1):
            # Dithered rounding, so that many groups together have the target size.
            yield group.codes(math.floor(group.quality_at(step) + number * GOLDEN % 1))


def worthwhile(groups: Sequence[NearDuplicateGroup], step: float, progress: Callable[[int, int], None]) -> Sequences:
    """Return the groups that cost less as sequences than as latents of a step."""

    def measure(item: tuple[NearDuplicateGroup, Sequence[Pixels]]) -> NearDuplicateGroup:
        group, windows = item
        group.measure(likely_quality(step), windows)
        return group

    # The encoder hardly uses a second core for small pictures, so each core encodes another group. Pictures are read
    # here: Pillow's warnings are silenced for all threads together.
    items = ((group, group.windows) for group in groups)
    threads = worker_count(WINDOW**2, torch.get_num_threads())
    kept = []
    for done, group in enumerate(map_in_threads(measure, items, threads=threads), start=1):
        if group.pays_at(step):
            kept.append(group)
        progress(done, len(groups))
    return Sequences(kept)


def total_distortion(
    decoded: Iterable[Pixels],
    originals: Iterable[Pixels],
    measure: Callable[[Tensor, Tensor], Tensor] = distortion,
) -> float:
    """Return the distortion of pictures, uint8 (H, W, 3) each, summed over pixels."""
    total = 0.0
    for pair in zip(decoded, originals, strict=True):
        shown, original = (torch.from_numpy(one)[None].permute(0, 3, 1, 2).float() / 127.5 - 1 for one in pair)
        total += float(measure(shown, original)) * original[0, 0].numel()
    return total


class WindowCache:
    """The middles of the latest groups: those of all groups of a large folder would not fit into memory."""

    def __init__(self, pictures: PictureSource) -> None:
        self._pictures = pictures
        self._kept = OrderedDict[tuple[int, ...], list[Pixels]]()

    def get(self, positions: tuple[int, ...]) -> list[Pixels]:
        """Return the middles of some pictures."""
        if positions not in self._kept:
            self._kept[positions] = [middle(self._pictures.picture(position)) for position in positions]
            if len(self._kept) > MAX_PENDING + 2:  # as many as there are groups at work
                self._kept.popitem(last=False)
        self._kept.move_to_end(positions)
        return self._kept[positions]


def find_near_duplicates(
    chooser: CandidateChooser,
    most: int,
    progress: Callable[[int, int], None],
    work: Path | None = None,
    left_out: Set[int] = frozenset(),
) -> list[NearDuplicateGroup]:
    """Group pictures of one size whose thumbnails hardly differ, 2 to ``most`` a group, in name order.

    Args:
        work: folder of temporary files; None: the system's.
        left_out: positions of pictures that belong to no group.
    """
    pictures, found, done = chooser.pictures, list[list[int]](), 0
    sizes = pictures.sizes
    for (width, height), positions in places_by_size(sizes).items():
        longest = min(most, MOST_PIXELS // (width * height))
        groups, compared = dict[int, list[int]](), [position for position in positions if position not in left_out]
        if longest > 1 and len(compared) > 1:
            thumbnails = (thumbnail(pictures.picture(position)) for position in compared)
            for position, group in zip(compared, group_alike(thumbnails, longest), strict=True):
                groups.setdefault(group, []).append(position)
                done += 1
                progress(done, len(sizes))
            done += len(positions) - len(compared)
        else:
            done += len(positions)
        progress(done, len(sizes))
        found += [group for group in groups.values() if len(group) > 1]
    windows, codes = WindowCache(pictures), Spool(work)
    return [NearDuplicateGroup(chooser, group, windows, codes) for group in sorted(found)]
