"""Quantised latents of images <-> bytes, each image's alone.

A value is coded as its distance from the predicted mean's integer part, by the frequency table of its scale
class and of the mean's fraction; one that is further away than ``REACH`` follows in 16 plain bits. Channels
after the last one that is not silent take no bytes. Images of one size are coded in lockstep.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.code_model import MEAN_BITS, PASSES, CodeModel, Context
from unicorn_codec.errors import InvalidField
from unicorn_codec.rans import PRECISION, Decoder, Words, encode

REACH = 24
VALUES_PER_LANE = 256
"""Positions of the grid that each lane takes: small images have one lane, large ones decode as fast as they."""

LARGEST = (1 << 15) - 1
_PLAIN_SHIFT = PRECISION - 8

Symbols = NDArray[np.int64]


def lanes_of(height: int, width: int) -> int:
    """Lanes of an image's code."""
    return -(-height * width // VALUES_PER_LANE)


def encode_images(model: CodeModel, level: int, symbols: Symbols) -> list[bytes]:
    """Code of each image.

    Args:
        symbols: (N, C, h, w) within +-``LARGEST``.
    """
    images, channels, height, width = symbols.shape
    assert channels == model.channels and np.abs(symbols).max(initial=0) <= LARGEST
    lanes = lanes_of(height, width)
    counts = channel_counts(symbols)
    starts_of = model.starts
    coded_channels = int(counts.max(initial=0))
    context = Context(model, level, coded_channels, (images, height, width))
    steps: list[tuple[Words, Words, NDArray[np.bool_]]] = []
    for channel in range(coded_channels):
        coded = counts > channel
        for step in range(4):
            means, scales = context.predict(channel, step)
            values = symbols[:, channel][_of_pass(step)]
            context.put(step, values)
            rows = [_in_steps(x, lanes) for x in (values, means, scales)]
            for value, mean, scale in zip(*rows, strict=True):
                active = coded[:, None] & (scale >= 0)
                residual = value - (mean >> MEAN_BITS)
                far = active & (np.abs(residual) > REACH)
                symbol = np.where(far, 2 * REACH + 1, residual + REACH) * active
                table = (scale * active, mean & ((1 << MEAN_BITS) - 1), symbol)
                frequency = model.frequencies[table].astype(np.uint64)
                steps.append((starts_of[table], frequency, active))
                if far.any():
                    steps += [(part, np.full_like(frequency, 1 << _PLAIN_SHIFT), far) for part in _plain(value)]
        context.close(channel)
    if not steps:
        return [bytes([0])] * images
    streams = encode(*(np.stack(column) for column in zip(*steps, strict=True)))
    return [bytes([count]) + stream * bool(count) for count, stream in zip(counts.tolist(), streams, strict=True)]


def channel_counts(symbols: Symbols) -> Symbols:
    """(N,) leading channels of each image up to the last one that is not silent."""
    loudest = np.abs(symbols).max(axis=(2, 3), initial=0)
    return np.max(np.where(loudest > 0, np.arange(1, symbols.shape[1] + 1), 0), axis=1, initial=0)


def decode_images(model: CodeModel, level: int, codes: Sequence[bytes], height: int, width: int) -> Symbols:
    """Symbols (N, C, h, w) of images that are all of one size; the inverse of ``encode_images``.

    Raises:
        InvalidField: a code is damaged.
    """
    counts = np.array([code[0] if code else 255 for code in codes])
    if (counts > model.channels).any():
        raise InvalidField(f"a code of {counts.max()} channels, allowed are {model.channels}")
    if any(len(code) != 1 for code, count in zip(codes, counts, strict=True) if count == 0):
        raise InvalidField("a code of no channels with bytes behind it")
    symbols = np.zeros((len(codes), model.channels, height, width), np.int64)
    coding = np.flatnonzero(counts)
    if len(coding):
        streams = [codes[image][1:] for image in coding.tolist()]
        symbols[coding] = _decode(model, level, streams, counts[coding], height, width)
    return symbols


def _decode(
    model: CodeModel, level: int, streams: Sequence[bytes], counts: Symbols, height: int, width: int
) -> Symbols:
    lanes = lanes_of(height, width)
    starts_of, symbol_of = model.starts, model.symbol_of_slot
    decoder = Decoder(streams, lanes)
    coded_channels = int(counts.max())
    context = Context(model, level, coded_channels, (len(streams), height, width))
    symbols = np.zeros((len(streams), model.channels, height, width), np.int64)
    for channel in range(coded_channels):
        coded = counts > channel
        for step in range(4):
            means, scales = context.predict(channel, step)
            decoded = []
            for mean, scale in zip(_in_steps(means, lanes), _in_steps(scales, lanes), strict=True):
                active = coded[:, None] & (scale >= 0)
                table = (scale * active, mean & ((1 << MEAN_BITS) - 1))
                symbol = symbol_of[(*table, decoder.slots().astype(np.int64))].astype(np.int64)
                found = (*table, symbol)
                decoder.advance(starts_of[found], model.frequencies[found].astype(np.uint64), active)
                value = symbol - REACH + (mean >> MEAN_BITS)
                far = active & (symbol == 2 * REACH + 1)
                if far.any():
                    value = np.where(far, _read_plain(decoder, far), value)
                decoded.append(np.where(active, value, 0))
            values = _from_steps(decoded, means.shape)
            context.put(step, values)
            symbols[:, channel][_of_pass(step)] = values
        context.close(channel)
    if np.abs(symbols).max(initial=0) > LARGEST:
        raise InvalidField(f"a code holds a value beyond +-{LARGEST}")
    decoder.finish()
    return symbols


def _of_pass(step: int) -> tuple[slice, slice, slice]:
    row, column = PASSES[step]
    return slice(None), slice(row, None, 2), slice(column, None, 2)


def _in_steps(values: Symbols, lanes: int) -> Symbols:
    """(N, rows, columns) of a pass -> (T, N, lanes), -1 where the last step has no value for a lane."""
    flat = values.reshape(len(values), -1)
    short = -flat.shape[1] % lanes
    return np.pad(flat, ((0, 0), (0, short)), constant_values=-1).reshape(len(values), -1, lanes).transpose(1, 0, 2)


def _from_steps(steps: Sequence[Symbols], shape: tuple[int, ...]) -> Symbols:
    """The inverse of ``_in_steps``."""
    if not steps:
        return np.zeros(shape, np.int64)
    flat = np.stack(steps, axis=1).reshape(shape[0], -1)
    return flat[:, : shape[1] * shape[2]].reshape(shape)


def _plain(values: Symbols) -> Iterator[Words]:
    """First slots of a value's two bytes, the high one first."""
    for byte in ((values >> 8) & 0xFF, values & 0xFF):
        yield (byte << _PLAIN_SHIFT).astype(np.uint64)


def _read_plain(decoder: Decoder, far: NDArray[np.bool_]) -> Symbols:
    """Values of two bytes, of the lanes that have one."""
    value = np.zeros(far.shape, np.int64)
    for _ in range(2):
        byte = decoder.slots() >> np.uint64(_PLAIN_SHIFT)
        decoder.advance(byte << np.uint64(_PLAIN_SHIFT), np.full_like(byte, 1 << _PLAIN_SHIFT), far)
        value = (value << 8) | byte.astype(np.int64)
    return value - ((value >> 15) << 16)
