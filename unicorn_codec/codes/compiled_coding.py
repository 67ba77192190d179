"""Entropy coding of latents by compiled kernels, where numba is installed: the same bytes and values, sooner.

NumPy's operations on many pictures at once, in ``latent_coding``, are the reference, and stay where numba is missing.
"""

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.context_model import (
    FEATURE_BITS,
    NEIGHBOURS,
    OUT_OF_RANGE,
    PASSES,
    ContextModel,
    Integers,
    known,
)
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.rans import FIRST_OF_SHORT, LOWEST, RansDecoder, join

if TYPE_CHECKING:  # at run time it would load numba
    from unicorn_codec.codes.compiled_kernels import Kernel

KERNELS = "unicorn_codec.codes.compiled_kernels"

POSITIONS_WORTH_LOADING = 1 << 14
"""Grid positions, 64 pictures of 256x256, whose coding in NumPy takes as long as loading numba and the kernels does."""

_STEPS_A_VALUE = 3
"""One, and two more for one that is escaped."""


def is_compiled(model: ContextModel, positions: int) -> bool:
    """Return whether to code by the kernels: numba is there, its loading pays, and the model's sums fit 32 bits.

    Args:
        positions: of the grids of latents to be coded together.
    """
    pays = KERNELS in sys.modules or positions >= POSITIONS_WORTH_LOADING
    return pays and model.is_narrow and _kernels() is not None


@cache
def _kernels() -> Any:
    """Return the module of the kernels; None without numba, or with one that does not work with this NumPy."""
    try:
        return import_module(KERNELS)
    except ImportError:
        return None


def decode_streams(
    model: ContextModel, level: int, decoder: RansDecoder, counts: Integers, size: tuple[int, int], channels: int
) -> NDArray[np.int16]:
    """Decode the streams of N pictures of one size.

    Args:
        decoder: at its start.
        counts: (N,) channels of each picture.
        size: h and w.
        channels: decode at most these leading ones.

    Returns:
        (N, C, h, w).

    Raises:
        InvalidField: a value is out of range, or a stream does not end where its values end.
    """
    kernels, kernel = _kernels(), kernel_of(model, level)
    symbols = np.zeros((len(counts), model.channels, *size), np.int16)

    def decode(
        stream: int, states: NDArray[np.int64], floor: int, first: int, end: int, words: NDArray[np.int64]
    ) -> int:
        coded = min(int(counts[stream]), channels)
        place: int = kernels.decode_stream(
            kernel, coded, states, floor, first, end, words, decoder.is_short, symbols[stream]
        )
        if place < 0:
            raise InvalidField(OUT_OF_RANGE)
        return place

    decoder.decode_each(decode)
    if channels >= counts[0]:
        decoder.finish()
    return symbols


def encode_pictures(
    model: ContextModel, level: int, symbols: NDArray[np.int16], counts: Integers, lanes: int, *, short: bool
) -> list[bytes]:
    """Return the stream of each picture.

    Args:
        symbols: (N, C, h, w).
        counts: (N,) channels of each picture.
        lanes: of a stream.
    """
    kernels, kernel = _kernels(), kernel_of(model, level)
    height, width = symbols.shape[2:]
    of_channel = sum(-(-len(range(row, height, 2)) * len(range(column, width, 2)) // lanes) for row, column in PASSES)
    steps = _STEPS_A_VALUE * of_channel * int(counts.max())
    starts, widths = (np.empty((steps, lanes), np.uint16) for _ in range(2))
    words, streams = np.empty(steps * lanes, np.uint16), []
    for picture, count in zip(symbols.astype(np.int16, order="C", copy=False), counts.tolist(), strict=True):
        used = kernels.slots_of_picture(kernel, count, picture, starts, widths)
        states = np.full(lanes, FIRST_OF_SHORT if short else LOWEST)
        written = kernels.encode_stream(starts[:used], widths[:used], states, words, not short)
        streams.append(join(states, words[len(words) - written :], short=short))
    return streams


def kernel_of(model: ContextModel, level: int) -> "Kernel":
    """Return what the kernels need of a model at a level."""
    places = [known(pass_index) for pass_index in range(len(PASSES))]
    made: Kernel = _kernels().Kernel(
        later=model.signed_earlier,
        same=model.signed_same,
        linear=model.linear.astype(np.int64) << FEATURE_BITS,
        known=np.array([one + [0] * (len(NEIGHBOURS) - len(one)) for one in places]),
        known_count=np.array([len(one) for one in places]),
        bias=model.bias[level].astype(np.int32),
        mean_bias=model.mean_bias[level].copy(),
        scale_bias=model.scale_bias[level].copy(),
        heads=model.heads.astype(np.int64),
        magnitudes=model.magnitudes.astype(np.int32),
        symbol_of_slot=model.symbol_of_slot,
        starts=model.starts,
        widths=model.widths,
        fraction_bits=model.fractions.bit_length() - 1,
        escape=model.escape,
        reach=model.reach,
    )
    return made
