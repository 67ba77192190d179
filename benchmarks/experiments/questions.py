"""The nine questions: what is varied, what the paper chose, and at what size."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Size of the experiments.

    Args:
        side: of the square pictures, in pixels.
        pictures: M where it does not matter.
        embedding_pictures: M where it does.
        counts: M of question 5.
        hidden_size, depth, weight_bits: of the network that sets the number of bytes to compare at.
        seconds: of training, for ``pictures`` pictures.
    """

    side: int
    pictures: int
    embedding_pictures: int
    counts: tuple[int, ...]
    hidden_size: int
    depth: int
    weight_bits: int
    seconds: float


SIZES = {
    "small": Size(
        side=64,
        pictures=250,
        embedding_pictures=500,
        counts=(125, 250, 500),
        hidden_size=48,
        depth=3,
        weight_bits=14,
        seconds=60,
    ),
    "paper": Size(
        side=256,
        pictures=1000,
        embedding_pictures=1000,
        counts=(125, 250, 500, 1000, 2000),
        hidden_size=144,
        depth=12,
        weight_bits=16,
        seconds=600,
    ),
}


def shrunk(size: Size, pictures: int | None) -> Size:
    """Return a size limited to a number of pictures, if one is given."""
    if pictures is None:
        return size
    counts = (pictures // 2, pictures)
    return replace(size, pictures=pictures, embedding_pictures=pictures, counts=counts)


def within(size: Size, available: int) -> Size:
    """Return a size whose question 5 needs no more pictures than there are."""
    return replace(size, counts=tuple(count for count in size.counts if count <= available))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One archive to train.

    Args:
        pictures: M.
        relative_size: bytes per picture, relative to the standard network.
        training: one of ``TRAININGS``.
        similar: give similar pictures neighbouring indices.
        steps: sampling steps. None: chosen by the packer.
    """

    pictures: int
    relative_size: float = 1.0
    condition: str = "cag"
    index_embedding: str = "grf"
    latent_std: float = 1 / 3
    prediction: str = "x0"
    training: str = "ours"
    similar: bool = False
    weight_bits: int
    steps: int | None = None


UNIFORM: dict[str, Any] = {"terminal_share": 0.0, "stored_noise_share": 0.0, "lowest_timestep": 0.0}
ADAM: dict[str, Any] = {"optimizer": "adam", "other_rate": 2e-4}
TRAININGS: Mapping[str, Mapping[str, Any]] = {
    "ours": {},
    "ours, uniform timesteps": UNIFORM,
    "Adam": ADAM,
    "Adam, uniform timesteps": ADAM | UNIFORM,
}
"""Deviations from the default training. The last one is the paper's: Adam, 2e-4, halved at each fifth."""

WEIGHT_BITS = (8, 10, 12, 14, 16, 20, 24, 32)
STEPS = (1, 2, 4, 10, 50)
RELATIVE_SIZES = (0.4, 0.7, 1.0)
STEPS_OF_NOISE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, and the archives that answer it.

    Args:
        paper: what the paper says, as a sentence.
        choice: the variant that the paper chose. "" where it is not one of them.
        works: by variant.
        weight_bits: store the weights in each of these widths as well, as further variants.
        steps: decode with each of these numbers of sampling steps as well, as further variants.
    """

    title: str
    paper: str
    choice: str
    works: Mapping[str, Work]
    weight_bits: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the rows of the question's table: its archives, or the variants of its only archive."""
        again = [f"{bits} bits" for bits in self.weight_bits] or [f"{steps} steps" for steps in self.steps]
        return tuple(again) or tuple(self.works)


def questions(size: Size) -> dict[int, Question]:
    """Return all nine questions at a size."""
    base = Work(pictures=size.pictures, weight_bits=size.weight_bits)
    many = replace(base, pictures=size.embedding_pictures)
    noise = replace(base, prediction="noise", steps=STEPS_OF_NOISE)
    return {
        1: Question(
            title="Conditioning at equal bytes",
            paper="The paper chooses cross-attention with gates (CAG) over CA, ICC and ALNZ.",
            choice="cag",
            works={name: replace(base, condition=name) for name in ("cag", "ca", "icc", "alnz")},
        ),
        2: Question(
            title="Index embeddings at equal bytes",
            paper="The paper chooses Gaussian random Fourier features (GRF) over EDF, LET and MLP.",
            choice="grf",
            works={name: replace(many, index_embedding=name) for name in ("grf", "edf", "let", "mlp")},
        ),
        3: Question(
            title="Standard deviation of the normalised latents",
            paper="The paper normalises latents to a standard deviation of 1/3, not 1.",
            choice="1/3",
            works={"1/3": base, "1": replace(base, latent_std=1.0)},
        ),
        4: Question(
            title="Bits per stored weight",
            paper="The paper stores weights in W = 1 + e + m bits, 16 in its main results.",
            choice="16 bits",
            works={"trained": replace(base, weight_bits=32)},
            weight_bits=WEIGHT_BITS,
        ),
        5: Question(
            title="Number of pictures at equal quality",
            paper="The paper says that the rate per picture falls as M grows.",
            choice="",
            works={
                f"M = {count}, size {relative:g}": replace(base, pictures=count, relative_size=relative)
                for count in size.counts
                for relative in RELATIVE_SIZES
            },
        ),
        6: Question(
            title="Sampling steps",
            paper="The paper samples a picture from noise in many steps.",
            choice="50 steps",
            works={"trained": base},
            steps=STEPS,
        ),
        7: Question(
            title="Random against similarity-ordered indices",
            paper="The paper draws the index of each picture at random.",
            choice="grf, random",
            works={
                f"{name}, {'similar' if similar else 'random'}": replace(many, index_embedding=name, similar=similar)
                for name in ("grf", "edf", "mlp")
                for similar in (False, True)
            },
        ),
        8: Question(
            title="Prediction of clean latents against prediction of the noise",
            paper="The paper predicts clean latents (x0), not the noise.",
            choice="x0, uniform timesteps",
            works={
                "x0": base,
                "x0, uniform timesteps": replace(base, training="ours, uniform timesteps"),
                "noise": noise,
                "noise, uniform timesteps": replace(noise, training="ours, uniform timesteps"),
            },
        ),
        9: Question(
            title="Training at equal time",
            paper="The paper trains by Adam at 2e-4, halved, with uniform timesteps.",
            choice="Adam, uniform timesteps",
            works={name: replace(base, training=name) for name in TRAININGS},
        ),
    }
