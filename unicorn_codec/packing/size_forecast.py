"""Estimates from a sample of a folder: the file size at a step, and the step for a target size."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.packing.candidates import WINDOWS_AT_ONCE, Candidate, CandidateChooser, middle
from unicorn_codec.packing.cell_importance import CellImportance
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.observer import cumulative
from unicorn_codec.packing.refinement import FINEST

SAMPLE_PICTURES = 48
REFINED_PICTURES = 12
"""Size of the sample, and of the part that is refined to measure the effect of refinement."""

SHARE_STEP = 4.0
"""Step for measuring the sample's share of all bytes, which hardly depends on it."""

SEARCHES = 6
NEAR = 0.015
"""Maximum number of steps that a search tries, and the relative error of the size at which it ends."""


class SampledPictures:
    """Some pictures of one size. The cheaper kind of code is measured only between steps where it changes."""

    def __init__(self, chooser: CandidateChooser, positions: Sequence[int], latents: Tensor) -> None:
        self._chooser, self.positions, self.latents = chooser, positions, latents

    def chosen(self, step: float) -> list[Candidate]:
        """Return the candidates at a step, without refinement."""
        is_half_size = self._are_cheaper_at_half(step)
        return [
            Candidate(
                half=half,
                places=np.flatnonzero(taken),
                latents=(self._halves if half else self.latents)[taken],
                importance=self._importance(np.flatnonzero(taken), step, half=half),
            )
            for half, taken in ((False, ~is_half_size), (True, is_half_size))
            if taken.any()
        ]

    def _importance(self, places: NDArray[np.intp], step: float, *, half: bool) -> CellImportance | None:
        """Return the importance of the cells of some of the pictures."""
        masks = self._chooser.masks([self.positions[place] for place in places.tolist()])
        return self._chooser.importance(masks, step, half=half)

    def _are_cheaper_at_half(self, step: float) -> NDArray[np.bool_]:
        """Return (N,) whether half size is cheaper, by the central windows; it then is at all coarser steps."""
        ways = self._chooser.ways_of_middles
        is_half, is_known = ways.at(self.positions, step)
        unknown = np.flatnonzero(~is_known)
        if unknown.size:
            windows, whole, half = (array[unknown] for array in self._middles)
            masks = self._chooser.masks([self.positions[place] for place in unknown.tolist()])
            of_windows = None if masks is None else [middle(mask) for mask in masks]
            is_half[unknown] = self._chooser.are_cheaper_at_half(windows, whole, half, step, of_windows)
            ways.note([self.positions[place] for place in unknown.tolist()], step, is_half[unknown])
        return is_half

    @property
    def _halves(self) -> Tensor:
        """Latents of the pictures at half size."""
        return self._read[1]

    @cached_property
    def _middles(self) -> tuple[Tensor, Tensor, Tensor]:
        """The pictures' central windows, and their latents at full and half size, as of separate pictures."""
        windows, halves = self._read
        if windows.shape[1:3] == self.size:
            return windows, self.latents, halves
        return windows, self._chooser.encode(windows), self._chooser.encode_halves(windows)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of each."""
        width, height = self._chooser.pictures.size_of(self.positions[0])
        return height, width

    @cached_property
    def _read(self) -> tuple[Tensor, Tensor]:
        """Central windows (N, H, W, 3), uint8, and latents (N, C, h, w) of the pictures at half size."""
        chooser, windows, halves = self._chooser, [], []
        for position in self.positions:
            pixels = chooser.pictures.picture(position)
            windows.append(middle(pixels))
            halves.append(chooser.encode_halves(torch.from_numpy(pixels)[None]))
        return torch.from_numpy(np.stack(windows)), torch.cat(halves)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeSample:
    """Some of a folder's pictures.

    Args:
        share: of all codes' bytes.
    """

    encoder: FolderEncoder
    parts: list[SampledPictures]
    share: float

    def plain_sizes(self, step: float) -> NDArray[np.float32]:
        """Estimate (N,) the bytes of the pictures' codes without refinement."""
        parts = []
        for part in self.parts:
            sizes = np.empty(len(part.positions), np.float32)
            for chosen in part.chosen(step):
                sizes[chosen.places] = self.encoder.chooser.code_bytes(chosen, step)
            parts.append(sizes)
        return np.concatenate(parts or [np.empty(0, np.float32)])

    def file_bytes(self, step: float) -> float:
        """Estimate the bytes of the folder's file at a step without refinement."""
        latents = float(self.plain_sizes(max(step, FINEST)).sum()) / self.share
        return self.encoder.overhead + self.encoder.sequences.bytes_at(step) + latents

    def growth_by_refinement(self, step: float, rounds: int, progress: Callable[[int, int], None]) -> float:
        """Measure the ratio of the lengths of refined codes and plain ones."""
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
        pixels_of = self.encoder.pictures.pixels_of
        chosen_pixels = sum(pixels_of(position) for some in of_size.values() for position, _ in some)
        add = cumulative(progress, 0, chosen_pixels)
        for some in of_size.values():  # all of a size together: a GPU takes as long for one as for dozens
            positions, latents = zip(*some, strict=True)
            codes = self.encoder.encode_batch(positions, torch.stack(latents), step, rounds, add)
            refined += sum(len(code) for _, code in codes)
        return refined / float(sizes[::every].sum())


def take_size_sample(encoder: FolderEncoder, progress: Callable[[int, int], None]) -> SizeSample:
    """Choose pictures that are coded as latents, evenly from the folder."""
    positions = [p for p in range(len(encoder.pictures)) if p not in encoder.sequences.positions]
    count = len(positions)
    chosen = {positions[number * count // min(count, SAMPLE_PICTURES)] for number in range(min(count, SAMPLE_PICTURES))}
    parts, of_all, of_sample, done = [], 0.0, 0.0, 0
    for batch, latents in encoder.latents.all_but(encoder.sequences.positions):
        # The share is measured on full-size latents, without reading pixels.
        places = [place for place, position in enumerate(batch) if position in chosen]
        importance = encoder.chooser.importance(encoder.chooser.masks(batch), SHARE_STEP, half=False)
        whole = Candidate(half=False, places=np.array(batch), latents=latents, importance=importance)
        sizes = encoder.chooser.code_bytes(whole, SHARE_STEP)
        of_all += float(sizes.sum())
        of_sample += float(sizes[places].sum())
        for start in range(0, len(places), WINDOWS_AT_ONCE):
            some = places[start : start + WINDOWS_AT_ONCE]
            parts.append(SampledPictures(encoder.chooser, [batch[place] for place in some], latents[some]))
        done += len(batch)
        progress(done, count)
    return SizeSample(encoder=encoder, parts=parts, share=of_sample / of_all if parts else 1.0)


class SizeCurve:
    """File size as a function of the quantisation step.

    Args:
        measure: returns the bytes at a step; called once per step.
        finest, coarsest: bounds of the steps.
        progress: called with the number of steps tried, and its maximum.
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
        """Return the bytes at a step."""
        if step not in self._known:
            self._known[step] = self._measure(step)
        return self._known[step]

    def step_of(self, wanted: float) -> float:
        """Return the step whose size is nearest to the target."""
        if wanted >= self.size(self._finest):
            return self._finest
        if wanted <= self.size(self._coarsest):
            return self._coarsest
        for done in range(SEARCHES):
            self._progress(done, SEARCHES)
            fine = max(step for step, size in self._known.items() if size > wanted)
            coarse = min(step for step, size in self._known.items() if size <= wanted and step > fine)
            larger, smaller = self._known[fine], self._known[coarse]
            # The size decreases approximately as a power of the step.
            step = fine * (coarse / fine) ** (math.log(larger / wanted) / math.log(larger / smaller))
            if min(larger / wanted - 1, 1 - smaller / wanted) <= NEAR:
                break
            self.size(step)
        self._progress(SEARCHES, SEARCHES)
        return step
