"""Candidates for coding a picture: its latents, or those of the picture at half size, refined or not.

CandidateChooser: latents > the cheaper of whole and half size > Objective.refine
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.devices import map_in_workers
from unicorn_codec.errors import FormatError
from unicorn_codec.format.cell_map import unmark_mapped
from unicorn_codec.format.code_kinds import decoder_step, is_avif, is_half_size, is_mapped, unmark_gray
from unicorn_codec.packing.cell_importance import PLAIN_GRAY, CellImportance, octaves_of, offsets_of
from unicorn_codec.packing.masks import Mask
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.refinement import FINEST, Objective, pixels_at_once
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.distortion import Measure, distortion, print_distortion
from unicorn_codec.transform.resampling import halve

FINEST_WITH_HALVES = 2.0
"""Finest step at which pictures may be coded at half size, with latents of half the step."""

NEARLY = 1.05
"""Ratio of two steps that are so close that pictures cost less in the same way at both."""

WINDOW = 512
"""Side, in pixels, of the central window of a large picture on which the choice is based."""

LARGEST_WHOLE = 1 << 20
"""Pixels up to which a picture is judged whole. Of larger ones four windows are, one in each quarter."""

WINDOWS_AT_ONCE = 8
"""Number of windows compared together, which bounds memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Latents for coding some pictures of one size.

    Args:
        half: whether the latents are of the pictures at half size.
        places: (N,) positions among the pictures to be coded.
        latents: (N, C, h, w), not rounded.
        importance: of their cells; None if all count alike.
    """

    half: bool
    places: NDArray[np.intp]
    latents: Tensor
    importance: CellImportance | None = None

    def some(self, taken: NDArray[np.bool_]) -> "Candidate":
        """Return the candidate for some of its pictures, (N,)."""
        if taken.all():  # latents of a large picture are not copied
            return self
        importance = None if self.importance is None else self.importance[taken]
        return replace(self, places=self.places[taken], latents=self.latents[taken], importance=importance)


class Ways:
    """Steps at which pictures, by position, are known to cost less at whole or at half size.

    What costs less at half size does so at all coarser steps. What costs less at a step does so at ``NEARLY`` equal
    ones, where nothing else is known: close to where both cost the same, the choice matters little.
    """

    def __init__(self) -> None:
        self._whole_until: dict[int, float] = {}
        self._half_from: dict[int, float] = {}

    def at(self, positions: Sequence[int], step: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return (N,) whether half size is known to cost less, and (N,) whether it is known what does."""
        half_from = np.array([self._half_from.get(position, np.inf) for position in positions])
        whole_until = np.array([self._whole_until.get(position, FINEST_WITH_HALVES) for position in positions])
        is_half = (half_from <= step) | ((half_from <= step * NEARLY) & (whole_until < step))
        return is_half, is_half | (step <= whole_until * NEARLY)

    def note(self, positions: Sequence[int], step: float, is_half: NDArray[np.bool_]) -> None:
        """Note (N,) whether half size costs less at a step. It replaces what is at odds with it."""
        for position, half in zip(positions, is_half.tolist(), strict=True):
            whole_until = self._whole_until.get(position, FINEST_WITH_HALVES)
            half_from = self._half_from.get(position, np.inf)
            if half:
                self._half_from[position] = min(step, half_from)
                if whole_until >= step:
                    self._whole_until.pop(position, None)
            else:
                self._whole_until[position] = max(step, whole_until)
                if half_from <= step:
                    del self._half_from[position]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateChooser:
    """Chooses candidates by rate and distortion.

    Args:
        pictures: the originals.
        autoencoder: of the archive, its decoder with the archive's update.
        rate: on the autoencoder's device.
        measure: distortion that refinement minimises.
        ways: of pictures that were judged by their windows, see ``windows_of``.
        ways_of_middles: of pictures that were judged by their central windows.
    """

    pictures: PictureSource
    autoencoder: PackagedAutoencoder
    rate: RateModel
    measure: Measure = distortion
    ways: Ways = field(default_factory=Ways)
    ways_of_middles: Ways = field(default_factory=Ways)

    def choose(
        self,
        batch: Sequence[int],
        latents: Tensor,
        step: float,
        rounds: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Generator[list[Candidate], None, None]:
        """Yield candidates for pictures of one size, some pictures at a time. Their places are positions.

        Args:
            batch: positions of the pictures.
            latents: (N, C, h, w), raw, of the pictures.
            rounds: of refinement.
            progress: called with the number of pixels chosen, or refined, since the last call.
        """
        if not batch:
            return
        positions = np.array(batch)
        if not rounds and step < FINEST_WITH_HALVES:  # the pixels do not matter
            importance = self.importance(self.masks(batch), step, half=False)
            yield [Candidate(half=False, places=positions, latents=latents, importance=importance)]
            progress(len(batch) * self.pictures.pixels_of(batch[0]))
            return
        device, of_picture = self.autoencoder.device, self.pictures.pixels_of(batch[0])
        is_large = of_picture > pixels_at_once(device)  # its pieces are progress of their own
        together = max(1, pixels_at_once(device) // of_picture)
        parts = [slice(start, start + together) for start in range(0, len(batch), together)]

        def choose(part: tuple[Sequence[int], Tensor, Tensor, list[Mask] | None]) -> list[Candidate]:
            return self._choose(*part, step, rounds, progress if is_large else lambda _: None)

        # Pictures are read here, not by the workers, because Pillow's warnings are suppressed for all threads at once.
        inputs = ((batch[part], self._pixels(batch[part]), latents[part], self.masks(batch[part])) for part in parts)
        with closing(map_in_workers(choose, inputs, device, pixels=together * of_picture)) as results:
            for part, chosen in zip(parts, results, strict=True):
                yield [replace(one, places=positions[part][one.places]) for one in chosen]
                if not (is_large and rounds):
                    progress(len(positions[part]) * of_picture)  # Ctrl-C may come here: the caller has what was chosen

    def _pixels(self, batch: Sequence[int]) -> Tensor:
        """Read pictures of one size, (N, H, W, 3)."""
        if len(batch) == 1:  # which may be a large one
            return torch.from_numpy(self.pictures.picture(batch[0]))[None]
        return torch.from_numpy(np.stack([self.pictures.picture(position) for position in batch]))

    def masks(self, batch: Sequence[int]) -> list[Mask] | None:
        """Return the masks of pictures of one size, by their positions; None if none of them has one."""
        if self.pictures.masked.isdisjoint(batch):
            return None
        width, height = self.pictures.size_of(batch[0])
        masks = map(self.pictures.mask, batch)
        return [np.full((height, width), PLAIN_GRAY, np.uint8) if mask is None else mask for mask in masks]

    def is_coded_by_mask(self, position: int, step: float, code: bytes) -> bool:
        """Return whether a code of a picture has the cell map that its mask asks for; any code without a mask has."""
        mask = self.pictures.mask(position)
        if mask is None:
            return True
        code = unmark_gray(code)
        if is_avif(code):
            return False
        importance = self.importance([mask], step, half=is_half_size(code))
        assert importance is not None, "there is a mask"
        wanted = importance.offsets[0]
        if not is_mapped(code):
            return not wanted.any()
        try:
            return np.array_equal(unmark_mapped(code, *wanted.shape)[1], wanted)
        except FormatError:
            return False

    def importance(self, masks: Sequence[Mask] | None, step: float, *, half: bool) -> CellImportance | None:
        """Return the importance of the cells of masked pictures, coded at full or half size."""
        if masks is None:
            return None
        cell = self.autoencoder.reference.downsampling * (2 if half else 1)
        octaves = np.stack([octaves_of(mask, cell) for mask in masks])
        coarsest = self.autoencoder.network.max_step
        return CellImportance(octaves, offsets_of(octaves, decoder_step(step, half=half), FINEST, coarsest))

    def _choose(
        self,
        positions: Sequence[int],
        pixels: Tensor,
        latents: Tensor,
        masks: Sequence[Mask] | None,
        step: float,
        rounds: int,
        progress: Callable[[int], None],
    ) -> list[Candidate]:
        places = np.arange(len(pixels))
        importance = self.importance(masks, step, half=False)
        whole = Candidate(half=False, places=places, latents=latents, importance=importance)
        is_half, is_known = self.ways.at(positions, step)
        halves = None
        if not is_known.all() and pixels[0, ..., 0].numel() > LARGEST_WHOLE:
            is_half[:] = self.is_cheaper_at_half(pixels[0].numpy(), step, None if masks is None else masks[0])
        elif not is_known.all():
            halves = self.encode_halves(pixels)
            is_half = self.are_cheaper_at_half(pixels, latents, halves, step, masks)
        chosen = [whole.some(~is_half)]
        if is_half.any():
            halves = self.encode_halves(pixels) if halves is None else halves
            importance = self.importance(masks, step, half=True)
            chosen.append(Candidate(half=True, places=places, latents=halves, importance=importance).some(is_half))
        chosen = [one for one in chosen if one.places.size]
        if not rounds:
            return chosen
        return [replace(one, latents=self._refined(one, pixels, step, rounds, progress)) for one in chosen]

    def _refined(
        self, one: Candidate, pixels: Tensor, step: float, rounds: int, progress: Callable[[int], None]
    ) -> Tensor:
        objective = self.objective(step, half=one.half, importance=one.importance)
        return objective.refine(pixels[one.places], one.latents, rounds, progress)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return raw latents of pictures (N, H, W, 3), uint8."""
        return self.autoencoder.encode_pictures(list(pixels.numpy()), self.autoencoder.reference.downsampling)

    def encode_halves(self, pixels: Tensor) -> Tensor:
        """Return raw latents of pictures (N, H, W, 3), uint8, at half size."""
        return self.encode(halve(pixels))

    def are_cheaper_at_half(
        self, pixels: Tensor, latents: Tensor, halves: Tensor, step: float, masks: Sequence[Mask] | None = None
    ) -> NDArray[np.bool_]:
        """Return (N,) whether the codes of pictures cost less at half size, without refinement."""
        whole, half = self.costs(pixels, latents, halves, step, masks)
        return (half < whole).numpy()

    def is_cheaper_at_half(self, picture: Pixels, step: float, mask: Mask | None = None) -> bool:
        """Return whether the windows of a large picture (H, W, 3) cost less at half size, without refinement."""
        whole = half = 0.0
        masks = [None] * len(windows_of(picture)) if mask is None else [[window] for window in windows_of(mask)]
        for window, of_window in zip(windows_of(picture), masks, strict=True):
            pixels = torch.from_numpy(window)[None]
            costs = self.costs(pixels, self.encode(pixels), self.encode_halves(pixels), step, of_window)
            whole, half = whole + float(costs[0]), half + float(costs[1])
        return half < whole

    def costs(
        self, pixels: Tensor, latents: Tensor, halves: Tensor, step: float, masks: Sequence[Mask] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (N,) rate-distortion costs of pictures at whole and at half size, in bits, without refinement.

        By the default distortion: single metrics gain more by refinement at whole size, which is not known yet.
        """
        whole, half = (
            replace(
                self.objective(step, half=half, importance=self.importance(masks, step, half=half)), measure=distortion
            ).cost_of_pictures(pixels, of_way)
            for half, of_way in ((False, latents), (True, halves))
        )
        return whole, half

    def judge(self, pixels: Tensor, step: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return costs of pictures (N, H, W, 3), uint8, at whole and at half size, (2, N), in bits, without refinement:
        by ``distortion``, and by ``judged_distortion``. Where half size may not be, its costs are infinite."""
        plain, judged = np.full((2, 2, len(pixels)), np.inf, np.float32)
        for half in (False, True)[: 1 + (step >= FINEST_WITH_HALVES)]:
            latents = self.encode_halves(pixels) if half else self.encode(pixels)
            measures = distortion, print_distortion
            bits, (worth, of_print) = self.objective(step, half=half).bits_and_worths(pixels, latents, measures)
            plain[int(half)], judged[int(half)] = bits + worth, bits + worth + of_print
        return plain, judged

    def code_bytes(self, candidate: Candidate, step: float) -> NDArray[np.float32]:
        """Estimate (N,) the bytes of pictures' codes."""
        objective = self.objective(step, half=candidate.half, importance=candidate.importance)
        device, of_picture = self.autoencoder.device, candidate.latents[0, 0].numel() * objective.cell**2
        together = max(1, pixels_at_once(device) // of_picture)
        parts = [slice(start, start + together) for start in range(0, len(candidate.latents), together)]

        def code_bytes(part: slice) -> Tensor:
            return objective.of_pictures(part).code_bytes(candidate.latents[part])

        return torch.cat(list(map_in_workers(code_bytes, parts, device, pixels=together * of_picture))).numpy()

    def objective(self, step: float, *, half: bool, importance: CellImportance | None = None) -> Objective:
        """Return what refinement minimises at a step.

        Args:
            importance: of the pictures' cells; None: all count alike.
        """
        return Objective(
            autoencoder=self.autoencoder,
            rate=self.rate,
            step=step,
            half=half,
            measure=self.measure,
            importance=importance,
        )


def middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop the centre of pixels or a mask to at most ``WINDOW`` pixels per side."""
    rows, columns = (slice(max(0, side - WINDOW) // 2, (side + WINDOW) // 2) for side in pixels.shape[:2])
    return pixels[rows, columns]


def windows_of(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the parts of a picture or its mask by which the picture is judged: all of it, or copies of four windows,
    one in each quarter."""
    height, width = pixels.shape[:2]
    if height * width <= LARGEST_WHOLE:
        return [pixels]
    tops, lefts = (
        [min(max(0, side * part // 4 - WINDOW // 2), max(0, side - WINDOW)) for part in (1, 3)]
        for side in (height, width)
    )
    # Copies, because views would keep the whole picture.
    return [pixels[top : top + WINDOW, left : left + WINDOW].copy() for top in tops for left in lefts]
