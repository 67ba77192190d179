"""Autoregressive context model of quantised latents, in integer arithmetic: predicts a mean and a scale for each value.

Channels are coded in order, and the positions of a channel in four passes that start with even rows and columns. One
small network per channel predicts a value from its 3x3 neighbourhood in all earlier channels and from those neighbours
in its own channel that earlier passes have coded. Weights and activations are integers. Products run in float64, and
only where every partial sum is an integer below 2^53, so the results are exact on every machine.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.code_kinds import HALF_LEVELS
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.format.rans import SymbolTables
from unicorn_codec.model_registry import CONTEXT_MODEL, get_model, models

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column parity of the positions that each pass codes."""

LARGEST_SYMBOL = (1 << 15) - 1
"""Limit of the magnitudes of values."""

OUT_OF_RANGE = f"a code holds a value beyond +-{LARGEST_SYMBOL}"

MAX_SYMBOL = 255
"""Limit of the magnitudes that enter the context."""

WEIGHT_BITS = 8
FEATURE_BITS = 6
HIDDEN_LIMIT = (1 << 17) - 1
SCALES = 48

NEIGHBOURS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))

_WIDE_TENSORS = ("bias", "mean_bias", "scale_bias")
_INT64_TENSORS = ("mean_bias", "scale_bias", "frequencies")


def fraction_bits(name: str) -> int:
    """Return the bits after the binary point of an integer weight. Biases are added to products with features."""
    return WEIGHT_BITS + FEATURE_BITS * name.endswith("bias")


@dataclass(frozen=True)
class ContextModel:
    """Integer weights of the context model, for C channels and H hidden values per channel.

    Args:
        earlier: (C, 18, C, H), from the features of channel c at 9 neighbours (signed, then magnitude).
        same: (4, C, 18, H), from the value's own channel, for each pass. The centre's rows are zero.
        bias: (MAX_LEVEL, 4, C, H), for each level and pass.
        linear: (4, C, 9), from the neighbours' values to the mean.
        mean, scale: (C, H), from the hidden values.
        mean_bias, scale_bias: (MAX_LEVEL, 4, C).
        magnitudes: (256,), the feature that stands for each magnitude from 0 to 255, compressed.
        frequencies: (SCALES, F, S), of symbols, for each scale class and fraction of the mean; see ``latent_coding``.
        sha256: of the file that the weights came from. Archives name the model by it.
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
        """Largest distance from the integer part of the mean at which a value has a symbol of its own."""
        return self.frequencies.shape[2] // 2 - 1

    @property
    def escape(self) -> int:
        """The escape symbol, last of each table: the value is out of reach, or its own symbol has no slots."""
        return self.frequencies.shape[2] - 1

    @cached_property
    def starts(self) -> Integers:
        """(SCALES F S + S,): first slot of each symbol. One more table follows, whose first symbol owns all slots."""
        starts = np.cumsum(self.frequencies, axis=-1) - self.frequencies
        return np.append(starts.ravel(), np.zeros(self.frequencies.shape[-1], np.int64))

    @cached_property
    def widths(self) -> Integers:
        """(SCALES F S + S,): number of slots of each symbol."""
        symbols = self.frequencies.shape[-1]
        return np.append(self.frequencies.ravel(), np.full(symbols, self.frequencies[0, 0].sum()))

    @cached_property
    def symbol_of_slot(self) -> NDArray[np.uint8]:
        """(SCALES F slots + slots,): symbol that owns each slot. In the last table it is always the first."""
        tables = self.frequencies.reshape(-1, self.frequencies.shape[-1])
        symbols = np.arange(tables.shape[1], dtype=np.uint8)
        owners = [np.repeat(symbols, table) for table in tables]
        return np.concatenate([*owners, np.zeros_like(owners[0])])

    @cached_property
    def symbol_tables(self) -> SymbolTables:
        """The frequency tables, for few lanes."""
        return SymbolTables(
            symbol_of_slot=self.symbol_of_slot.data,
            starts=self.starts.tolist(),
            widths=self.widths.tolist(),
            escape=self.escape,
        )

    @cached_property
    def kernels(self) -> Singles:
        """(C H, 9, 2 C): ``earlier`` for each neighbour, with signed feature and magnitude channel by channel."""
        channels, hidden = self.mean.shape
        pairs = self.earlier.reshape(channels, 2, 9, channels * hidden).transpose(3, 2, 0, 1)
        return np.ascontiguousarray(pairs, np.float32).reshape(channels * hidden, 9, 2 * channels)

    @cached_property
    def excursions(self) -> Floats:
        """(C, C H): largest change that a channel's features of magnitude 1 or less can make to each sum."""
        return np.abs(self.earlier).sum(axis=1).reshape(self.channels, -1)

    @cached_property
    def signed_earlier(self) -> NDArray[np.int32]:
        """(C, 2, 9, C H): what the magnitude of a positive value, then of a negative one, is multiplied by."""
        return by_sign(self.earlier).reshape(self.channels, 2, 9, -1)

    @cached_property
    def signed_same(self) -> NDArray[np.int32]:
        """(4, C, 2, 9, H): the same within a channel, for each pass."""
        return by_sign(self.same.reshape(-1, 18, 1, self.hidden)).reshape(len(PASSES), self.channels, 2, 9, -1)

    @cached_property
    def is_narrow(self) -> bool:
        """Whether all sums are below 2^31, and all means below 2^60, whatever the values."""
        largest, own = np.abs(self.magnitudes).max(), np.abs(self.same).sum(2).max()
        sums = largest * (self.excursions.sum(0).max() + own) + np.abs(self.bias).max()
        plain = MAX_SYMBOL * np.abs(self.linear).sum(2).max() * (1 << FEATURE_BITS)
        means = HIDDEN_LIMIT * np.abs(self.heads).sum(2).max() + plain + np.abs(self.mean_bias).max()
        return bool(sums < 1 << 31 and means * self.fractions < 1 << 60)

    @cached_property
    def own(self) -> tuple[Floats, ...]:
        """(C, H + 1, 3 k) for each pass: from features and values of the ``known`` neighbours to sums and mean."""
        passes = []
        for pass_index in range(len(PASSES)):
            places = known(pass_index)
            weights = np.zeros((self.channels, self.hidden + 1, len(places), 3))
            weights[:, :-1, :, 0] = self.same[pass_index][:, places].swapaxes(1, 2)
            weights[:, :-1, :, 1] = self.same[pass_index][:, [9 + place for place in places]].swapaxes(1, 2)
            weights[:, -1, :, 2] = self.linear[pass_index][:, places] * (1 << FEATURE_BITS)
            passes.append(weights.reshape(self.channels, self.hidden + 1, 3 * len(places)))
        return tuple(passes)

    @cached_property
    def heads(self) -> Floats:
        """(C, 2, H): from the hidden values to mean and scale."""
        return np.stack([self.mean, self.scale], axis=1)


def by_sign(weights: Floats) -> NDArray[np.int32]:
    """Return weights of a signed feature and its magnitude, (N, 18, ...), as those of either sign, (N, 2, 9, ...)."""
    signed, plain = weights[:, :9].astype(np.int32), weights[:, 9:].astype(np.int32)
    return np.stack([plain + signed, plain - signed], axis=1)


def known(pass_index: int) -> list[int]:
    """Return which of the 9 neighbours in its own channel a value of a pass is predicted from."""
    row, column = PASSES[pass_index]
    return [k for k, (r, c) in enumerate(NEIGHBOURS) if ((row + r) % 2, (column + c) % 2) in PASSES[:pass_index]]


def load_context_model(autoencoder: str | None = None) -> ContextModel:
    """Return the context model of a packaged autoencoder's latents; None means the default one.

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
    return _of_tensors(load(model.read()), model.sha256)


def _of_tensors(tensors: Mapping[str, NDArray[Any]], sha256: bytes) -> ContextModel:
    arrays: dict[str, Any] = {
        name: array.astype(np.int64 if name in _INT64_TENSORS else np.float64) for name, array in tensors.items()
    }
    return ContextModel(**arrays, sha256=sha256)


def parse_context_model(data: bytes) -> ContextModel:
    """Read a context model that an archive holds. Raises ``InvalidField`` unless its tensors fit each other."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise InvalidField(f"context model: no safetensors ({error})") from error
    if not _fits(tensors):
        raise InvalidField("context model: its tensors are not those of a context model")
    return _of_tensors(tensors, hashlib.sha256(data).digest())


def _fits(tensors: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether tensors have the names, types, shapes and sums of a context model."""
    mean, frequencies = tensors.get("mean"), tensors.get("frequencies")
    if mean is None or frequencies is None or mean.ndim != 2 or frequencies.ndim != 3:
        return False
    (channels, hidden), passes = mean.shape, len(PASSES)
    _, fractions, symbols = frequencies.shape
    shapes = {
        "earlier": (channels, 18, channels, hidden),
        "same": (passes, channels, 18, hidden),
        "bias": (MAX_LEVEL, passes, channels, hidden),
        "linear": (passes, channels, 9),
        "mean": (channels, hidden),
        "scale": (channels, hidden),
        "mean_bias": (MAX_LEVEL, passes, channels),
        "scale_bias": (MAX_LEVEL, passes, channels),
        "magnitudes": (MAX_SYMBOL + 1,),
        "frequencies": (SCALES, fractions, symbols),
    }
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        return False
    if not all(
        tensor.dtype == np.int16 or (name in _WIDE_TENSORS and tensor.dtype == np.int32)
        for name, tensor in tensors.items()
    ):
        return False
    is_power = fractions & (fractions - 1) == 0
    slots = frequencies.sum(axis=-1, dtype=np.int64)
    return bool(
        is_power
        and 4 <= symbols <= MAX_SYMBOL + 1
        and symbols % 2 == 0
        and frequencies.min() >= 0
        and frequencies[..., -1].min() > 0
        and (slots == 1 << 14).all()
    )


def level_of(step: float) -> int:
    """Return the level of a quantisation step: the nearest quarter octave above 1."""
    return int(np.clip(np.rint(4 * np.log2(step)), 0, MAX_LEVEL + HALF_LEVELS - 1))
