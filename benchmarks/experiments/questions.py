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
        epochs: visits of every picture in the first training, which is repeated at twice as many until that gains no
            more.
        most_epochs: limit of the last one.
    """

    side: int
    pictures: int
    embedding_pictures: int
    counts: tuple[int, ...]
    hidden_size: int
    depth: int
    weight_bits: int
    epochs: int
    most_epochs: int


SIZES = {
    "small": Size(
        side=64,
        pictures=250,
        embedding_pictures=500,
        counts=(125, 250, 500),
        hidden_size=48,
        depth=3,
        weight_bits=14,
        epochs=200,
        most_epochs=1600,
    ),
    "middle": Size(
        side=64,
        pictures=256,
        embedding_pictures=256,
        counts=(64, 128, 256),
        hidden_size=72,
        depth=4,
        weight_bits=14,
        epochs=1000,
        most_epochs=64_000,
    ),
    "paper": Size(
        side=256,
        pictures=1000,
        embedding_pictures=1000,
        counts=(125, 250, 500, 1000, 2000),
        hidden_size=144,
        depth=12,
        weight_bits=16,
        epochs=1000,
        most_epochs=64_000,
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
        pairs: variants to compare, the one that the paper prefers first. The two differ in one thing only.
        works: by variant.
        weight_bits: store the weights in each of these widths as well, as further variants.
        steps: decode with each of these numbers of sampling steps as well, as further variants.
    """

    title: str
    paper: str
    pairs: tuple[tuple[str, str], ...]
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
    sampled = replace(base, steps=STEPS_OF_NOISE)  # prediction of the noise needs many steps: so many for both
    return {
        1: Question(
            title="Conditioning at equal bytes",
            paper="The paper chooses cross-attention with gates (CAG) over CA, ICC and ALNZ.",
            pairs=(("cag", "ca"), ("cag", "icc"), ("cag", "alnz")),
            works={name: replace(base, condition=name) for name in ("cag", "ca", "icc", "alnz")},
        ),
        2: Question(
            title="Index embeddings at equal bytes",
            paper="The paper chooses Gaussian random Fourier features (GRF) over EDF, LET and MLP.",
            pairs=(("grf", "edf"), ("grf", "let"), ("grf", "mlp")),
            works={name: replace(many, index_embedding=name) for name in ("grf", "edf", "let", "mlp")},
        ),
        3: Question(
            title="Standard deviation of the normalised latents",
            paper="The paper normalises latents to a standard deviation of 1/3, not 1.",
            pairs=(("1/3", "1"),),
            works={"1/3": base, "1": replace(base, latent_std=1.0)},
        ),
        4: Question(
            title="Bits per stored weight",
            paper="The paper stores weights in W = 1 + e + m bits, 16 in its main results.",
            pairs=(),
            works={"trained": replace(base, weight_bits=32)},
            weight_bits=WEIGHT_BITS,
        ),
        5: Question(
            title="Number of pictures at equal quality",
            paper="The paper says that the rate per picture falls as M grows.",
            pairs=(),
            works={
                f"M = {count}, size {relative:g}": replace(base, pictures=count, relative_size=relative)
                for count in size.counts
                for relative in RELATIVE_SIZES
            },
        ),
        6: Question(
            title="Sampling steps",
            paper="The paper samples a picture from noise in many steps.",
            pairs=(),
            works={"trained": base},
            steps=STEPS,
        ),
        7: Question(
            title="Random against similarity-ordered indices",
            paper="The paper draws the index of each picture at random.",
            pairs=tuple((f"{name}, random", f"{name}, similar") for name in ("grf", "edf", "mlp")),
            works={
                f"{name}, {'similar' if similar else 'random'}": replace(many, index_embedding=name, similar=similar)
                for name in ("grf", "edf", "mlp")
                for similar in (False, True)
            },
        ),
        8: Question(
            title="Prediction of clean latents against prediction of the noise",
            paper="The paper predicts clean latents (x0), not the noise.",
            pairs=(("x0, uniform timesteps", "noise, uniform timesteps"), ("x0", "noise")),
            works={
                name + suffix: replace(sampled, prediction=name, training=training)
                for suffix, training in (("", "ours"), (", uniform timesteps", "ours, uniform timesteps"))
                for name in ("x0", "noise")
            },
        ),
        9: Question(
            title="Training until it gains no more",
            paper="The paper trains by Adam at 2e-4, halved, with uniform timesteps.",
            pairs=(
                ("Adam, uniform timesteps", "ours, uniform timesteps"),
                ("Adam", "ours"),
                ("Adam, uniform timesteps", "Adam"),
                ("ours, uniform timesteps", "ours"),
            ),
            works={name: replace(base, training=name) for name in TRAININGS},
        ),
    }
