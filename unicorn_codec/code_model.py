"""Integer model of quantised latents: for each value a predicted mean and a scale, from values known before.

Channels come one after the other; the positions of a channel in four passes, those of even row and column
first. A value is predicted by one small network a channel: from the 3x3 neighbourhood in all earlier channels,
and from the neighbours in its own channel that earlier passes have brought. Weights and activations are
integers, products run in float64 only where every partial sum is an integer below 2^53: exact everywhere.
"""

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.config import MAX_LEVEL

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column parity of the positions that each pass brings."""

MAX_SYMBOL = 255
"""Larger magnitudes enter the context as this."""

WEIGHT_BITS = 8
FEATURE_BITS = 6
HIDDEN_LIMIT = (1 << 17) - 1
MEAN_BITS = 3
"""Means are multiples of 1/8."""

SCALES = 48

_WHOLE = ("mean_bias", "scale_bias", "frequencies")
_NEIGHBOURS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))


@dataclass(frozen=True)
class CodeModel:
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
        frequencies: (SCALES, 8, S) of symbols, for each scale class and fraction of the mean; see ``codes``.
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

    @cached_property
    def starts(self) -> NDArray[np.uint64]:
        """(SCALES, 8, S) first slot of each symbol."""
        return (np.cumsum(self.frequencies, axis=-1) - self.frequencies).astype(np.uint64)

    @cached_property
    def symbol_of_slot(self) -> NDArray[np.uint8]:
        """(SCALES, 8, slots) which symbol owns a slot."""
        tables = self.frequencies.reshape(-1, self.frequencies.shape[-1])
        symbols = np.arange(tables.shape[1], dtype=np.uint8)
        owners = np.stack([np.repeat(symbols, table) for table in tables])
        return owners.reshape(*self.frequencies.shape[:2], -1)

    def features(self, plane: Integers) -> Floats:
        """(N, h, w) values -> (N, h, w, 18) features of the 3x3 neighbourhood; outside there are zeros."""
        signs, sizes = np.sign(plane), self.magnitudes[np.minimum(np.abs(plane), MAX_SYMBOL)]
        return np.concatenate([neighbourhood(signs * sizes), neighbourhood(sizes)], axis=-1)


def neighbourhood(plane: NDArray[np.generic]) -> Floats:
    """(N, h, w) -> (N, h, w, 9): each position's 3x3 window, row by row, zero outside."""
    padded = np.pad(plane, ((0, 0), (1, 1), (1, 1)))
    height, width = plane.shape[1:]
    windows = [padded[:, 1 + r : 1 + r + height, 1 + c : 1 + c + width] for r, c in _NEIGHBOURS]
    return np.stack(windows, axis=-1).astype(np.float64)


class Context:
    """What is known of N equally sized images while their leading channels are coded one by one."""

    def __init__(self, model: CodeModel, level: int, channels: int, shape: tuple[int, int, int]) -> None:
        self._model, self._level, self._channels = model, level, channels
        self._sums = np.zeros((*shape, channels, model.mean.shape[1]))
        self._plane = np.zeros(shape, np.int64)

    def predict(self, channel: int, step: int) -> tuple[Integers, Integers]:
        """Means (in 1/8) and scale classes of the channel's values in a pass, (N, rows, columns) each.

        The values of the channel's earlier passes must have been ``put``.
        """
        model, level = self._model, self._level
        rows, columns = PASSES[step]
        here = (slice(None), slice(rows, None, 2), slice(columns, None, 2))
        sums = self._sums[here][..., channel, :] + model.bias[level, step, channel]
        sums += model.features(self._plane)[here] @ model.same[step, channel]
        hidden = np.clip(np.floor(sums / (1 << WEIGHT_BITS)), 0, HIDDEN_LIMIT)
        plain = neighbourhood(np.clip(self._plane, -MAX_SYMBOL, MAX_SYMBOL))[here] @ model.linear[step, channel]
        shift = WEIGHT_BITS + FEATURE_BITS
        mean = (hidden @ model.mean[channel] + plain * (1 << FEATURE_BITS)).astype(np.int64)
        mean += model.mean_bias[level, step, channel]
        scale = (hidden @ model.scale[channel]).astype(np.int64) + model.scale_bias[level, step, channel]
        half = 1 << (shift - MEAN_BITS - 1)
        return (mean + half) >> (shift - MEAN_BITS), np.clip((scale + (1 << (shift - 1))) >> shift, 0, SCALES - 1)

    def put(self, step: int, values: Integers) -> None:
        """Tell a pass's values of the present channel, (N, rows, columns)."""
        rows, columns = PASSES[step]
        self._plane[:, rows::2, columns::2] = values

    def close(self, channel: int) -> Integers:
        """End a channel: later ones see it. Returns its values (N, h, w)."""
        model, plane = self._model, self._plane
        later = model.earlier[channel, :, channel + 1 : self._channels]
        if plane.any() and channel + 1 < self._channels:
            self._sums[..., channel + 1 :, :] += np.tensordot(model.features(plane), later, axes=1)
        self._plane = np.zeros_like(plane)
        return plane


@cache
def load_code_model() -> CodeModel:
    """The model that ships with the package."""
    from safetensors.numpy import load

    data = (resources.files("unicorn_codec") / "pretrained" / "code_model.safetensors").read_bytes()
    arrays: dict[str, Any] = {
        name: array.astype(np.int64 if name in _WHOLE else np.float64) for name, array in load(data).items()
    }
    return CodeModel(**arrays, sha256=hashlib.sha256(data).digest())


def level_of(step: float) -> int:
    """Level that stands for a quantisation step: the nearest quarter octave, from 1 on."""
    return int(np.clip(np.rint(4 * np.log2(step)), 0, MAX_LEVEL - 1))
