"""Integer model of quantised latents: for each value a predicted mean and a scale, from values known before.

Channels come one after the other; the positions of a channel in four passes, those of even row and column
first. A value is predicted by one small network a channel: from the 3x3 neighbourhood in all earlier channels,
and from the neighbours in its own channel that earlier passes have brought. Weights and activations are
integers, products run in float64 only where every partial sum is an integer below 2^53: exact everywhere.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.code_table import HALF_LEVELS
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.model_registry import CONTEXT_MODEL, get_model, models

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column parity of the positions that each pass brings."""

MAX_SYMBOL = 255
"""Larger magnitudes enter the context as this."""

WEIGHT_BITS = 8
FEATURE_BITS = 6
HIDDEN_LIMIT = (1 << 17) - 1
SCALES = 48

NEIGHBOURS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))

_WHOLE = ("mean_bias", "scale_bias", "frequencies")


@dataclass(frozen=True)
class ContextModel:
    """Integer weights; C channels, H hidden values a channel.

    Args:
        earlier: (C, 18, C, H) from the features of channel c at 9 neighbours (signed, then magnitude).
        same: (4, C, 18, H) from the value's own channel, for each pass; the centre's rows are zero.
        bias: (MAX_LEVEL, 4, C, H) for each level and pass.
        linear: (4, C, 9) of the neighbours' plain values, towards the mean.
        mean, scale: (C, H) from the hidden values.
        mean_bias, scale_bias: (MAX_LEVEL, 4, C).
        magnitudes: (256,) compressed magnitude of 0..255, the feature that stands for it.
        sha256: of the file that the weights came from; an archive names it.
        frequencies: (SCALES, F, S) of symbols, for each scale class and fraction of the mean; see ``coding``.
    """

    earlier: Floats
    same: Floats
    bias: Floats
    linear: Floats
    mean: Floats
    scale: Floats
    mean_bias: Integers
    scale_bias: Integers
    magnitudes: Floats
    frequencies: Integers
    sha256: bytes

    @property
    def channels(self) -> int:
        return self.mean.shape[0]

    @property
    def hidden(self) -> int:
        return self.mean.shape[1]

    @property
    def fractions(self) -> int:
        """F: predicted means are multiples of 1 / F, a power of two."""
        return self.frequencies.shape[1]

    @property
    def reach(self) -> int:
        """How far from the mean's integer part a value may be that has a symbol of its own."""
        return self.frequencies.shape[2] // 2 - 1

    @property
    def far(self) -> int:
        """Symbol of a value that is further away, or too unlikely for a symbol of its own; the last one of a table."""
        return self.frequencies.shape[2] - 1

    @cached_property
    def starts(self) -> Integers:
        """(SCALES F S + S) first slot of each symbol, flat; behind all tables one of a symbol that takes all slots."""
        starts = np.cumsum(self.frequencies, axis=-1) - self.frequencies
        return np.append(starts.ravel(), np.zeros(self.frequencies.shape[-1], np.int64))

    @cached_property
    def widths(self) -> Integers:
        """(SCALES F S + S) how many slots each symbol has."""
        symbols = self.frequencies.shape[-1]
        return np.append(self.frequencies.ravel(), np.full(symbols, self.frequencies[0, 0].sum()))

    @cached_property
    def symbol_of_slot(self) -> NDArray[np.uint8]:
        """(SCALES F slots + slots) which symbol owns a slot; the first one has all slots of the last table."""
        tables = self.frequencies.reshape(-1, self.frequencies.shape[-1])
        symbols = np.arange(tables.shape[1], dtype=np.uint8)
        owners = [np.repeat(symbols, table) for table in tables]
        return np.concatenate([*owners, np.zeros_like(owners[0])])

    @cached_property
    def kernels(self) -> Singles:
        """(C H, 9, 2C) of ``earlier``, for each neighbour: signed feature and magnitude, channel by channel."""
        channels, hidden = self.mean.shape
        pairs = self.earlier.reshape(channels, 2, 9, channels * hidden).transpose(3, 2, 0, 1)
        return np.ascontiguousarray(pairs, np.float32).reshape(channels * hidden, 9, 2 * channels)

    @cached_property
    def excursions(self) -> Floats:
        """(C, C H) how much a channel's features, if none is over 1, can add to or take from each sum."""
        return np.abs(self.earlier).sum(axis=1).reshape(self.channels, -1)

    @cached_property
    def own(self) -> tuple[Floats, ...]:
        """(C, H + 1, 3k) for each pass: from the ``known`` neighbours' features and plain values to sums and mean."""
        passes = []
        for step in range(len(PASSES)):
            places = known(step)
            weights = np.zeros((self.channels, self.hidden + 1, len(places), 3))
            weights[:, :-1, :, 0] = self.same[step][:, places].swapaxes(1, 2)
            weights[:, :-1, :, 1] = self.same[step][:, [9 + place for place in places]].swapaxes(1, 2)
            weights[:, -1, :, 2] = self.linear[step][:, places] * (1 << FEATURE_BITS)
            passes.append(weights.reshape(self.channels, self.hidden + 1, 3 * len(places)))
        return tuple(passes)

    @cached_property
    def heads(self) -> Floats:
        """(C, 2, H) from the hidden values to mean and scale."""
        return np.stack([self.mean, self.scale], axis=1)


def known(step: int) -> list[int]:
    """Which of the 9 neighbours in its own channel a value of a pass is predicted from."""
    row, column = PASSES[step]
    return [k for k, (r, c) in enumerate(NEIGHBOURS) if ((row + r) % 2, (column + c) % 2) in PASSES[:step]]


def load_context_model(autoencoder: str | None = None) -> ContextModel:
    """Return the context model of a packaged autoencoder's latents; None: of the default one.

    Raises:
        ModelUnavailable: the package has no such model.
    """
    return _load(get_model(CONTEXT_MODEL, autoencoder).name)


def find_context_model(sha256: bytes) -> ContextModel | None:
    """Return the packaged context model whose file has a SHA-256, or None."""
    return next((_load(model.name) for model in models(CONTEXT_MODEL) if model.sha256 == sha256), None)


@cache
def _load(name: str) -> ContextModel:
    from safetensors.numpy import load

    model = get_model(CONTEXT_MODEL, name)
    arrays: dict[str, Any] = {
        name: array.astype(np.int64 if name in _WHOLE else np.float64) for name, array in load(model.read()).items()
    }
    return ContextModel(**arrays, sha256=model.sha256)


def level_of(step: float) -> int:
    """Level that stands for a quantisation step: the nearest quarter octave, from 1 on."""
    return int(np.clip(np.rint(4 * np.log2(step)), 0, MAX_LEVEL + HALF_LEVELS - 1))
