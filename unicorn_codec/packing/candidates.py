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
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.refinement import Objective, pixels_at_once
from unicorn_codec.pictures.images import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.distortion import Measure, distortion
from unicorn_codec.transform.resampling import halve

FINEST_WITH_HALVES = 2.0
"""Finest step at which pictures may be coded at half size, with latents of half the step."""

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
    """

    half: bool
    places: NDArray[np.intp]
    latents: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateChooser:
    """Chooses candidates by rate and distortion.

    Args:
        pictures: the originals.
        autoencoder: of the archive, its decoder with the archive's update.
        rate: on the autoencoder's device.
        measure: distortion that refinement minimises.
        ways: step until which each picture, by position, is known to cost less at whole size, and from which at half.
    """

    pictures: PictureSource
    autoencoder: PackagedAutoencoder
    rate: RateModel
    measure: Measure = distortion
    ways: dict[int, tuple[float, float]] = field(default_factory=dict)

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
            yield [Candidate(half=False, places=positions, latents=latents)]
            progress(len(batch) * self.pictures.pixels_of(batch[0]))
            return
        device, of_picture = self.autoencoder.device, self.pictures.pixels_of(batch[0])
        is_large = of_picture > pixels_at_once(device)  # its pieces are progress of their own
        together = max(1, pixels_at_once(device) // of_picture)
        parts = [slice(start, start + together) for start in range(0, len(batch), together)]

        def choose(part: tuple[Tensor, Tensor]) -> list[Candidate]:
            return self._choose(*part, step, rounds, progress if is_large else lambda _: None)

        # Pictures are read here, not by the workers, because Pillow's warnings are suppressed for all threads at once.
        inputs = ((self._pixels(batch[part]), latents[part]) for part in parts)
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

    def _choose(
        self,
        pixels: Tensor,
        latents: Tensor,
        step: float,
        rounds: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[Candidate]:
        chosen = [Candidate(half=False, places=np.arange(len(pixels)), latents=latents)]
        if step >= FINEST_WITH_HALVES and pixels[0, ..., 0].numel() > LARGEST_WHOLE:
            if self.is_cheaper_at_half(pixels[0].numpy(), step):
                chosen = [replace(chosen[0], half=True, latents=self.encode_halves(pixels))]
        elif step >= FINEST_WITH_HALVES:
            halves = self.encode_halves(pixels)
            is_half = self.are_cheaper_at_half(pixels, latents, halves, step)
            chosen = [
                Candidate(half=half, places=np.flatnonzero(taken), latents=of_way[taken])
                for half, of_way, taken in ((False, latents, ~is_half), (True, halves, is_half))
            ]
        chosen = [one for one in chosen if one.places.size]
        if not rounds:
            return chosen
        return [
            replace(
                one,
                latents=self.objective(step, half=one.half).refine(pixels[one.places], one.latents, rounds, progress),
            )
            for one in chosen
        ]

    def encode(self, pixels: Tensor) -> Tensor:
        """Return raw latents of pictures (N, H, W, 3), uint8."""
        return self.autoencoder.encode_pictures(list(pixels.numpy()), self.autoencoder.reference.downsampling)

    def encode_halves(self, pixels: Tensor) -> Tensor:
        """Return raw latents of pictures (N, H, W, 3), uint8, at half size."""
        return self.encode(halve(pixels))

    def are_cheaper_at_half(self, pixels: Tensor, latents: Tensor, halves: Tensor, step: float) -> NDArray[np.bool_]:
        """Return (N,) whether the codes of pictures cost less at half size, without refinement."""
        whole, half = self.costs(pixels, latents, halves, step)
        return (half < whole).numpy()

    def is_cheaper_at_half(self, picture: Pixels, step: float) -> bool:
        """Return whether the windows of a large picture (H, W, 3) cost less at half size, without refinement."""
        whole = half = 0.0
        for window in windows_of(picture):
            pixels = torch.from_numpy(window)[None]
            costs = self.costs(pixels, self.encode(pixels), self.encode_halves(pixels), step)
            whole, half = whole + float(costs[0]), half + float(costs[1])
        return half < whole

    def costs(self, pixels: Tensor, latents: Tensor, halves: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """Return (N,) rate-distortion costs of pictures at whole and at half size, in bits, without refinement.

        By the default distortion: single metrics gain more by refinement at whole size, which is not known yet.
        """
        whole, half = (
            replace(self.objective(step, half=half), measure=distortion).cost_of_pictures(pixels, of_way)
            for half, of_way in ((False, latents), (True, halves))
        )
        return whole, half

    def least_costs(self, pixels: Tensor, step: float, measure: Measure) -> Tensor:
        """Return (N,) costs of pictures (N, H, W, 3), uint8, coded in the cheaper way without refinement, in bits.

        Args:
            measure: distortion of decoded pictures and originals.
        """
        ways = [(False, self.encode(pixels))]
        if step >= FINEST_WITH_HALVES:
            ways.append((True, self.encode_halves(pixels)))
        costs = [
            replace(self.objective(step, half=half), measure=measure).cost_of_pictures(pixels, latents)
            for half, latents in ways
        ]
        return torch.stack(costs).amin(0)

    def code_bytes(self, candidate: Candidate, step: float) -> NDArray[np.float32]:
        """Estimate (N,) the bytes of pictures' codes."""
        objective, device = self.objective(step, half=candidate.half), self.autoencoder.device
        of_picture = candidate.latents[0, 0].numel() * objective.cell**2
        together = max(1, pixels_at_once(device) // of_picture)
        parts = candidate.latents.split(together)
        return torch.cat(
            list(map_in_workers(objective.code_bytes, parts, device, pixels=together * of_picture))
        ).numpy()

    def objective(self, step: float, *, half: bool) -> Objective:
        """Return what refinement minimises at a step."""
        return Objective(autoencoder=self.autoencoder, rate=self.rate, step=step, half=half, measure=self.measure)


def middle(pixels: Pixels) -> Pixels:
    """Crop the centre to at most ``WINDOW`` pixels per side."""
    rows, columns = (slice(max(0, side - WINDOW) // 2, (side + WINDOW) // 2) for side in pixels.shape[:2])
    return pixels[rows, columns]


def windows_of(pixels: Pixels) -> list[Pixels]:
    """Return the parts of a picture by which it is judged: all of it, or a copy of one window in each quarter."""
    height, width = pixels.shape[:2]
    if height * width <= LARGEST_WHOLE:
        return [pixels]
    tops, lefts = (
        [min(max(0, side * part // 4 - WINDOW // 2), max(0, side - WINDOW)) for part in (1, 3)]
        for side in (height, width)
    )
    # Copies, because views would keep the whole picture.
    return [pixels[top : top + WINDOW, left : left + WINDOW].copy() for top in tops for left in lefts]
