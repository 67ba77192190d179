"""Squares of training pictures with the codes that archives would hold of them: refined, at steps of all archives."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor
from train_autoencoder import random_crops

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import level_of
from unicorn_codec.code_table import told_level, told_step
from unicorn_codec.folder_coder import FINEST_WITH_HALVES
from unicorn_codec.rate_model import RateModel
from unicorn_codec.refinement import Objective
from unicorn_codec.resampling import halve

SIDE = 256
"""Pixels a side of the squares."""

ROUNDS = 6
"""Of refinement: half of what archives get by default, for twice as many squares."""

HALVES = 0.2
"""Part of the squares that are coded at half size where both ways may be."""


class Square(NamedTuple):
    """A square and its code.

    Args:
        pixels: (SIDE, SIDE, 3) uint8.
        symbols: (C, h, w) int16, of the square or of its half.
        step: the archive's.
    """

    pixels: Tensor
    symbols: Tensor
    step: float
    half: bool

    @property
    def own_step(self) -> float:
        """That the latents were rounded with."""
        return told_step(self.step, half=self.half)

    @property
    def level(self) -> int:
        """That the code model is told of."""
        return told_level(level_of(self.step), half=self.half)


def refined_squares(
    autoencoder: EmbeddedAutoencoder,
    pictures: Sequence[np.ndarray],
    rate: RateModel,
    rng: np.random.Generator,
    *,
    minutes: float,
    together: int,
) -> Iterator[Square]:
    """As many as there is time for, some of one step together."""
    max_step, started = autoencoder.network.max_step, time.monotonic()
    while time.monotonic() - started < 60 * minutes:
        step = float((2 * max_step) ** rng.random())
        half = step > max_step or (step >= FINEST_WITH_HALVES and rng.random() < HALVES)
        pixels = random_crops(pictures, together, SIDE, rng)
        latents = autoencoder.encode_pictures(list((halve(pixels) if half else pixels).numpy()), 16)
        objective = Objective(autoencoder=autoencoder, rate=rate, step=step, half=half)
        symbols = (objective.refine(pixels, latents, ROUNDS) / objective.own_step).round().short()
        for one, its_symbols in zip(pixels, symbols, strict=True):
            yield Square(one, its_symbols, step, half)
