"""Pictures that are nearly alike, such as stills of one camera: found, and coded as sequences where that costs less.

find_near_duplicates: thumbnails > groups > those whose sequence beats codes of latents, or AVIF of each alone
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.concurrency import WAITING, in_threads
from unicorn_codec.devices import at_work
from unicorn_codec.packing.folder_coder import WINDOW, WINDOWS_AT_ONCE, FolderCoder, middle
from unicorn_codec.packing.refinement import bits_worth
from unicorn_codec.pictures.avif import encode_avif
from unicorn_codec.pictures.avif_sequence import encode_sequence, sequence_codes
from unicorn_codec.pictures.batches import places_by_size
from unicorn_codec.pictures.images import Pixels
from unicorn_codec.quality import avif_quality_of, quality_of_step
from unicorn_codec.transform.distortion import distortion

THUMBNAIL = 16
"""Sides of what pictures are compared by, in pixels: noise and small things hardly show."""

MOST_DIFFERENCE = 0.8
"""Root mean square of the difference of thumbnails of alike pictures, in units of their own deviation."""

OPEN_GROUPS = 256
"""A picture is compared with the last one of so many groups."""

LONGEST = 32
MOST_PIXELS = 1 << 27
"""Pictures of a group: decoding the last one decodes all of them. And their pixels, all of which encoding holds."""

GRID = 10
"""Qualities are measured at multiples of this, and told in between from those."""

BEST_QUALITY = 100
GOLDEN = 0.618
"""Multiples of it spread evenly, modulo 1."""

REFINED = 0.95
"""What a dozen rounds of refinement leave of the cost of latents, about; one leaves 0.98."""


HOPELESS = 1.3
"""A sequence that costs so many times as much as latents at the likely quality is not looked at any further: of groups
of photos other qualities were seen to lower the cost by a fifth at most."""


class NearDuplicateGroup:
    """Equally sized pictures that are stored as a sequence. What is encoded once is kept.

    Args:
        positions: ascending.
    """

    def __init__(self, coder: FolderCoder, positions: Sequence[int]) -> None:
        self.positions = list(positions)
        self._coder = coder
        self._measured: dict[int, tuple[float, float]] = {}
        self._measured_alone: dict[int, tuple[float, float]] = {}
        self._codes: tuple[int, dict[int, bytes]] | None = None

    def quality_at(self, step: float) -> float:
        """AVIF's quality at which the sequence costs least, bytes and distortion together.

        Args:
            step: quantisation step of latents, which tells what distortion is worth.
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
        """The lowest quality, about, at which the sequence is no worse than AVIF of each picture alone."""
        _, wanted = self._alone(quality)
        while quality < BEST_QUALITY and self._measure(quality)[1] > wanted:
            quality += 1
        return quality

    def bytes_at(self, step: float) -> float:
        """Of the sequence at its best quality, about."""
        return self._measure(self.quality_at(step))[0] * self._shown_part

    def codes(self, quality: int) -> dict[int, bytes]:
        """The code of each picture by position."""
        if self._codes is None or self._codes[0] != quality:
            units, _ = encode_sequence([self._coder.picture(position) for position in self.positions], quality)
            self._codes = quality, sequence_codes(units, self.positions)
        return self._codes[1]

    def pays_at(self, step: float) -> bool:
        """Whether the sequence costs less than latents of a step do."""
        cost = 0.0
        for start in range(0, len(self.positions), WINDOWS_AT_ONCE):
            pixels = torch.from_numpy(np.stack(self.windows[start : start + WINDOWS_AT_ONCE]))
            ways = self._coder.plain_costs(pixels, self._coder.whole(pixels), self._coder.halves(pixels), step)
            cost += float(torch.minimum(*ways).sum())
        if self._cost(likely_quality(step), step) > HOPELESS * cost:
            return False
        return self._cost(self.quality_at(step), step) < REFINED * cost

    def pays_beside(self, quality: int) -> bool:
        """Whether the sequence, as good, takes fewer bytes than AVIF of each picture alone."""
        return self._measure(self.quality_like(quality))[0] < self._alone(quality)[0]

    def _cost(self, quality: float, step: float) -> float:
        """Bits of the windows' sequence, and what its distortion is worth in bits."""
        size, error = self._measure(quality)
        return 8 * size + bits_worth(error, step)

    def _measure(self, quality: float) -> tuple[float, float]:
        """Bytes of the windows' sequence at a quality, and its distortion, summed over pixels, about."""
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
        """Encode the windows' sequence at a quality. What is found is kept."""
        units, decoded = encode_sequence(windows, quality)
        self._measured[quality] = sum(map(len, units)), total_distortion(decoded, windows) + 1e-9

    def _alone(self, quality: int) -> tuple[float, float]:
        """The same of each window alone."""
        if quality not in self._measured_alone:
            codes, decoded = zip(*(encode_avif(window, quality) for window in self.windows), strict=True)
            self._measured_alone[quality] = sum(map(len, codes)), total_distortion(decoded, self.windows)
        return self._measured_alone[quality]

    @property
    def windows(self) -> list[Pixels]:
        """The pictures' middles."""
        return windows_of(self._coder, tuple(self.positions))

    @property
    def _shown_part(self) -> float:
        """How many times as many pixels as the windows the pictures have."""
        picture = self._coder.pictures.pictures[self.positions[0]]
        return picture.width * picture.height / (min(picture.width, WINDOW) * min(picture.height, WINDOW))


def likely_quality(step: float) -> int:
    """AVIF's quality of pictures about as good as latents of a step make them, among those that are measured."""
    return round(avif_quality_of(quality_of_step(step)) / GRID) * GRID


class Sequences:
    """Pictures of a folder that are coded as sequences."""

    def __init__(self, groups: Sequence[NearDuplicateGroup]) -> None:
        self._groups = groups
        self.positions: Set[int] = frozenset(position for group in groups for position in group.positions)

    def bytes_at(self, step: float) -> float:
        """Bytes of their codes, about, where a quantisation step tells what distortion is worth."""
        return sum(group.bytes_at(step) for group in self._groups)

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        """Their codes by position, a sequence at a time."""
        for number, group in enumerate(self._groups, start=1):
            # Rounded up as often as its fraction says: many groups together have the size that is aimed at.
            yield group.codes(math.floor(group.quality_at(step) + number * GOLDEN % 1))


def worthwhile(groups: Sequence[NearDuplicateGroup], step: float, progress: Callable[[int, int], None]) -> Sequences:
    """The groups that cost less as sequences than as latents of a step."""

    def measure(shown: tuple[NearDuplicateGroup, Sequence[Pixels]]) -> NearDuplicateGroup:
        group, windows = shown
        group.measure(likely_quality(step), windows)
        return group

    # The encoder has little use for several cores where pictures are small, so each encodes another group. Pictures are
    # read here: Pillow's warnings are silenced for all threads together.
    shown = ((group, group.windows) for group in groups)
    threads = at_work(WINDOW**2, torch.get_num_threads())
    kept = []
    for done, group in enumerate(in_threads(measure, shown, threads=threads), start=1):
        if group.pays_at(step):
            kept.append(group)
        progress(done, len(groups))
    return Sequences(kept)


def total_distortion(decoded: Iterable[Pixels], originals: Iterable[Pixels]) -> float:
    """Distortion of pictures, uint8 (H, W, 3), summed over pixels."""
    total = 0.0
    for pair in zip(decoded, originals, strict=True):
        shown, original = (torch.from_numpy(one)[None].permute(0, 3, 1, 2).float() / 127.5 - 1 for one in pair)
        total += float(distortion(shown, original)) * original[0, 0].numel()
    return total


@lru_cache(maxsize=WAITING + 2)
def windows_of(coder: FolderCoder, positions: tuple[int, ...]) -> list[Pixels]:
    """The middles of some pictures. Those of groups at work are kept: all of a large folder would not fit in memory."""
    return [middle(coder.picture(position)) for position in positions]


def find_near_duplicates(coder: FolderCoder, progress: Callable[[int, int], None]) -> list[NearDuplicateGroup]:
    """Groups of at least two pictures that look alike at the size of a thumbnail, most of them next in name order."""
    sizes = [(picture.width, picture.height) for picture in coder.pictures.pictures]
    found, done = [], 0
    for (width, height), positions in places_by_size(sizes).items():
        longest = min(LONGEST, MOST_PIXELS // (width * height))
        open_groups: list[tuple[list[int], NDArray[np.float32]]] = []  # each with its last picture's thumbnail
        for position in positions:
            own = thumbnail(coder.picture(position))
            apart = differences(own, [last for _, last in open_groups])
            is_alike = apart.min(initial=math.inf) < MOST_DIFFERENCE
            group = open_groups.pop(int(apart.argmin()))[0] if is_alike else []
            group.append(position)
            if len(group) < longest:
                open_groups.append((group, own))
            if len(group) == 2:
                found.append(group)
            del open_groups[:-OPEN_GROUPS]
            done += 1
            progress(done, len(sizes))
    return [NearDuplicateGroup(coder, group) for group in sorted(found)]


def thumbnail(pixels: Pixels) -> NDArray[np.float32]:
    """(3 x 16 x 16,) a picture's mean colours around their mean."""
    picture: Tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    small = F.adaptive_avg_pool2d(picture, THUMBNAIL).flatten()
    return (small - small.mean()).numpy()


def differences(own: NDArray[np.float32], others: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(N,) of a thumbnail to N others, in units of the lesser deviation of both."""
    if not others:
        return np.zeros(0, np.float32)
    stacked = np.stack(others)
    deviations = np.minimum(own.std(), stacked.std(1))
    apart: NDArray[np.float32] = np.sqrt(np.square(stacked - own).mean(1)) / np.maximum(deviations, 1)
    return apart
