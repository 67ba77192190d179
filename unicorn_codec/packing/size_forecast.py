"""How large a folder's file becomes at a step, from some of its pictures, and at which step it has the wanted size."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.packing.folder_coder import (
    FINEST,
    FINEST_WITH_HALVES,
    WINDOWS_AT_ONCE,
    Candidate,
    FolderCoder,
    cumulative,
    middle,
)

SAMPLE_PICTURES = 48
REFINED_PICTURES = 12
"""Pictures that tell how large a file becomes, and those of them that tell what refinement adds to it."""

SHARE_STEP = 4.0

ROUNDS = 6
NEAR = 0.015
"""A wanted size is looked for in so many rounds at most, until a sample's is as near to it as this part of it."""


class SampledPictures:
    """Some pictures of one size. Which way of coding one is cheaper is only measured between steps where it changes."""

    def __init__(self, coder: FolderCoder, positions: Sequence[int], latents: Tensor) -> None:
        self._coder, self.positions, self.latents = coder, positions, latents
        self._whole_until = np.full(len(positions), FINEST_WITH_HALVES)
        self._half_from = np.full(len(positions), np.inf)

    def chosen(self, step: float) -> list[Candidate]:
        """What they are coded by, not refined."""
        is_half_size = self._are_cheaper_at_half(step)
        return [
            Candidate(half=half, places=np.flatnonzero(taken), latents=(self._halves if half else self.latents)[taken])
            for half, taken in ((False, ~is_half_size), (True, is_half_size))
            if taken.any()
        ]

    def _are_cheaper_at_half(self, step: float) -> NDArray[np.bool_]:
        """(N,) by their middles. Whoever is cheaper at half size at one step is so at all coarser ones, and so on."""
        unknown = np.flatnonzero((self._whole_until < step) & (step < self._half_from))
        if unknown.size:
            windows, whole, half = (shown[unknown] for shown in self._middles)
            cheaper = self._coder.are_cheaper_at_half(windows, whole, half, step)
            self._half_from[unknown[cheaper]] = step
            self._whole_until[unknown[~cheaper]] = step
        return self._half_from <= step

    @property
    def _halves(self) -> Tensor:
        """Latents of the pictures at half size."""
        return self._seen[1]

    @cached_property
    def _middles(self) -> tuple[Tensor, Tensor, Tensor]:
        """The pictures' middles, and their latents at whole and at half size, as if they were pictures of their own."""
        windows, halves = self._seen
        if windows.shape[1:3] == self.size:
            return windows, self.latents, halves
        return windows, self._coder.whole(windows), self._coder.halves(windows)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of each."""
        picture = self._coder.pictures.pictures[self.positions[0]]
        return picture.height, picture.width

    @cached_property
    def _seen(self) -> tuple[Tensor, Tensor]:
        """(N, H, W, 3) uint8 the pictures' middles, and (N, C, h, w) the latents of their halves."""
        coder, windows, halves = self._coder, [], []
        for position in self.positions:
            pixels = coder.picture(position)
            windows.append(middle(pixels))
            halves.append(coder.halves(torch.from_numpy(pixels)[None]))
        return torch.from_numpy(np.stack(windows)), torch.cat(halves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some of a folder's pictures.

    Args:
        share: part of the codes' bytes that is theirs.
    """

    coder: FolderCoder
    parts: list[SampledPictures]
    share: float

    def plain_sizes(self, step: float) -> NDArray[np.float32]:
        """(N,) bytes of the pictures' codes, about, if they are not refined."""
        parts = []
        for part in self.parts:
            sizes = np.empty(len(part.positions), np.float32)
            for chosen in part.chosen(step):
                sizes[chosen.places] = self.coder.code_bytes(chosen, step)
            parts.append(sizes)
        return np.concatenate(parts or [np.empty(0, np.float32)])

    def file_bytes(self, step: float) -> float:
        """Bytes of the folder's file at a step, if its codes are not refined."""
        latents = float(self.plain_sizes(max(step, FINEST)).sum()) / self.share
        return self.coder.overhead + self.coder.others.bytes_at(step) + latents

    def growth_by_refinement(self, step: float, rounds: int, progress: Callable[[int, int], None]) -> float:
        """How many times as long refined codes are as plain ones."""
        if not self.parts:
            return 1.0
        step = max(step, FINEST)
        sizes = self.plain_sizes(step)
        every = -(-len(sizes) // REFINED_PICTURES)
        refined = seen = 0
        of_size: dict[tuple[int, int], list[tuple[int, Tensor]]] = defaultdict(list)
        for part in self.parts:
            chosen = slice(-seen % every, None, every)
            seen += len(part.positions)
            for one in zip(part.positions[chosen], part.latents[chosen], strict=True):
                of_size[part.size].append(one)
        tell = cumulative(progress, 0, len(sizes[::every]))
        for some in of_size.values():  # all of a size together: a GPU takes as long for one as for dozens
            positions, latents = zip(*some, strict=True)
            codes = self.coder.codes_of(positions, torch.stack(latents), step, rounds, tell)
            refined += sum(len(code) for _, code in codes)
        return refined / float(sizes[::every].sum())


def take_sample(coder: FolderCoder, progress: Callable[[int, int], None]) -> Sample:
    """Some of a folder's pictures that are coded as latents, evenly chosen."""
    positions = [p for p in range(len(coder.pictures.pictures)) if p not in coder.others.positions]
    count = len(positions)
    pictures = min(count, SAMPLE_PICTURES)
    chosen = {positions[number * count // pictures] for number in range(pictures)}
    parts, of_all, of_sample, done = [], 0.0, 0.0, 0
    for batch, latents in coder.all_latents():
        # What share of a file's bytes is theirs hardly depends on the step, and is known without looking at pixels.
        places = [place for place, position in enumerate(batch) if position in chosen]
        sizes = coder.code_bytes(Candidate(half=False, places=np.array(batch), latents=latents), SHARE_STEP)
        of_all += float(sizes.sum())
        of_sample += float(sizes[places].sum())
        for start in range(0, len(places), WINDOWS_AT_ONCE):
            some = places[start : start + WINDOWS_AT_ONCE]
            parts.append(SampledPictures(coder, [batch[place] for place in some], latents[some]))
        done += len(batch)
        progress(done, count)
    return Sample(coder=coder, parts=parts, share=of_sample / of_all if parts else 1.0)


class SizeCurve:
    """Bytes of a folder's file by the quantisation step.

    Args:
        measure: the bytes at a step; it is asked once for each.
        finest, coarsest: steps that there are.
        progress: told how far a search is, in rounds.
    """

    def __init__(
        self,
        measure: Callable[[float], float],
        finest: float,
        coarsest: float,
        progress: Callable[[int, int], None],
    ) -> None:
        self._measure, self._progress = measure, progress
        self._finest, self._coarsest = finest, coarsest
        self._known: dict[float, float] = {}

    def size(self, step: float) -> float:
        """Bytes at a step."""
        if step not in self._known:
            self._known[step] = self._measure(step)
        return self._known[step]

    def step_of(self, wanted: float) -> float:
        """The step that comes nearest to the wanted bytes."""
        if wanted >= self.size(self._finest):
            return self._finest
        if wanted <= self.size(self._coarsest):
            return self._coarsest
        for done in range(ROUNDS):
            self._progress(done, ROUNDS)
            fine = max(step for step, size in self._known.items() if size > wanted)
            coarse = min(step for step, size in self._known.items() if size <= wanted and step > fine)
            larger, smaller = self._known[fine], self._known[coarse]
            # The size falls about as a power of the step.
            step = fine * (coarse / fine) ** (math.log(larger / wanted) / math.log(larger / smaller))
            if min(larger / wanted - 1, 1 - smaller / wanted) <= NEAR:
                break
            self.size(step)
        self._progress(ROUNDS, ROUNDS)
        return step
