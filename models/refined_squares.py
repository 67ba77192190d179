"""Squares of training pictures with the codes that archives would hold of them: refined, at steps of all archives."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.codes.context_model import level_of
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.format.code_kinds import model_level
from unicorn_codec.packing.candidates import FINEST_WITH_HALVES
from unicorn_codec.packing.refinement import Objective
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.resampling import halve

SIDE = 256
"""Pixels a side of the squares."""

HALVES = 0.2
"""Part of the squares that are coded at half size where both ways may be."""


class Squares(NamedTuple):
    """Squares and their codes, all whole or all at half size.

    Args:
        pixels: (N, SIDE, SIDE, 3) uint8.
        latents: (N, C, h, w) float16, the encoder's.
        symbols: (N, C, h, w) int16, of the refined latents.
        steps: (N,) float32, the archive's.
        own_steps: (N,) float32, that the latents were rounded with.
        levels: (N,) int64, that the context model is told of.
        half: whether the codes are of the squares at half size.
    """

    pixels: Tensor
    latents: Tensor
    symbols: Tensor
    steps: Tensor
    own_steps: Tensor
    levels: Tensor
    half: bool

    @property
    def tensors(self) -> list[Tensor]:
        """All but ``half``, in order."""
        return list(self[:-1])

    @classmethod
    def of(cls, tensors: Iterable[Tensor], *, half: bool) -> "Squares":
        """The inverse of ``tensors``."""
        return cls._make([*tensors, half])

    def picked(self, numbers: Tensor) -> "Squares":
        return Squares.of((tensor[numbers] for tensor in self.tensors), half=self.half)


def all_of(parts: Sequence[Squares]) -> Squares:
    """Those of parts that are all whole or all at half size."""
    return Squares.of(map(torch.cat, zip(*(part.tensors for part in parts), strict=True)), half=parts[0].half)


def refined_squares(
    autoencoder: PackagedAutoencoder,
    rate: RateModel,
    crops: Iterator[Tensor],
    rng: np.random.Generator,
    *,
    minutes: float,
    rounds: int,
    threads: int = 1,
) -> Iterator[Squares]:
    """As many as there is time for, on the autoencoder's device; those of a batch of crops have one step.

    Args:
        crops: batches (N, SIDE, SIDE, 3) uint8.
        threads: that refine a batch each.
    """
    max_step, started = autoencoder.network.max_step, time.monotonic()

    def draw() -> tuple[Tensor, float, bool]:
        step = float((2 * max_step) ** rng.random())
        return next(crops).cpu(), step, step > max_step or (step >= FINEST_WITH_HALVES and rng.random() < HALVES)

    def refine(drawn: tuple[Tensor, float, bool]) -> Squares:
        pixels, step, half = drawn
        return refined(autoencoder, rate, pixels, step, rounds, half=half)

    with ThreadPoolExecutor(threads) as pool:
        while time.monotonic() - started < 60 * minutes:
            yield from pool.map(refine, [draw() for _ in range(threads)])


def refined(
    autoencoder: PackagedAutoencoder, rate: RateModel, pixels: Tensor, step: float, rounds: int, *, half: bool
) -> Squares:
    """Squares (N, SIDE, SIDE, 3), uint8, with their codes."""
    latents = autoencoder.encode_pictures(list((halve(pixels) if half else pixels).numpy()), 16)
    objective = Objective(autoencoder=autoencoder, rate=rate, step=step, half=half)
    symbols = (objective.refine(pixels, latents, rounds) / objective.own_step).round().short()
    steps, own_steps = (torch.full((len(pixels),), one) for one in (step, objective.own_step))
    levels = torch.full((len(pixels),), model_level(level_of(step), half=half))
    tensors = pixels, latents.half(), symbols, steps, own_steps, levels
    return Squares.of((tensor.to(autoencoder.device) for tensor in tensors), half=half)
