"""Quantised latents of pictures <-> bytes, each picture's alone.

A value is coded as its distance from the predicted mean's integer part, by the frequency table of its scale
class and of the mean's fraction. One that is further away than the tables reach, or for which its table has no slots,
follows in 16 plain bits. Channels after the last one that is not silent take no bytes. Pictures of one size are
coded in lockstep, many at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.context_model import PASSES, SCALES, ContextModel, Integers
from unicorn_codec.codes.context_predictor import ContextPredictor
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.rans import PRECISION, TOTAL, RansDecoder, encode

POSITIONS_PER_LANE = 256
"""Positions of the grid that each lane takes: small pictures have one lane, large ones decode as fast as they."""

POSITIONS_TOGETHER = 1 << 17
"""Pictures that are coded in lockstep have at most so many positions of their grids: bounds the memory."""

LARGEST_SYMBOL = (1 << 15) - 1
_PLAIN_WIDTH = TOTAL >> 8

Symbols = NDArray[np.int16]


def picture_lanes(height: int, width: int) -> int:
    """Lanes of a picture's code."""
    return -(-height * width // POSITIONS_PER_LANE)


def encode_symbols(model: ContextModel, level: int, symbols: Symbols, *, short: bool = True) -> list[bytes]:
    """Code of each picture.

    Args:
        symbols: (N, C, h, w) within +-``LARGEST_SYMBOL``.
        short: the kind of their streams; long ones are those of older archives.
    """
    pictures, channels, height, width = symbols.shape
    assert channels == model.channels and np.abs(symbols).max(initial=0) <= LARGEST_SYMBOL
    counts = channel_counts(symbols)
    codes = [bytes([0])] * pictures
    for group in _groups(counts, height, width):
        streams = _encode(model, level, symbols[group], counts[group], short=short)
        for picture, stream in zip(group.tolist(), streams, strict=True):
            codes[picture] = bytes([counts[picture]]) + stream
    return codes


def decode_symbols(
    model: ContextModel, level: int, codes: Sequence[bytes], height: int, width: int, *, short: bool
) -> Symbols:
    """Symbols (N, C, h, w) of pictures that are all of one size; the inverse of ``encode_symbols``.

    Raises:
        InvalidField: a code is damaged.
    """
    counts = np.array([code[0] if code else 255 for code in codes], np.int64)
    if (counts > model.channels).any():
        raise InvalidField(f"a code of {counts.max()} channels, allowed are {model.channels}")
    if any(len(code) != 1 for code, count in zip(codes, counts, strict=True) if count == 0):
        raise InvalidField("a code of no channels with bytes behind it")
    symbols = np.zeros((len(codes), model.channels, height, width), np.int16)
    for group in _groups(counts, height, width):
        streams = [codes[picture][1:] for picture in group.tolist()]
        symbols[group] = _decode(model, level, streams, counts[group], (height, width), short=short)
    return symbols


def channel_counts(symbols: Symbols) -> Integers:
    """(N,) leading channels of each picture up to the last one that is not silent."""
    loud = symbols.any(axis=(2, 3))
    return np.max(np.where(loud, np.arange(1, symbols.shape[1] + 1), 0), axis=1, initial=0)


def _groups(counts: Integers, height: int, width: int) -> Iterator[Integers]:
    """Numbers of the pictures that are coded together: those with channels, of most channels first."""
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    together = max(1, POSITIONS_TOGETHER // (height * width))
    yield from (order[start : start + together] for start in range(0, len(order), together))


@dataclass(frozen=True, slots=True)
class _Tables:
    """What a pass is coded by, a row a step, (T, N L) each: numbers of tables, and values of their first symbols.

    Lanes that have no value in the last step get the table behind all others, of one symbol, and the value 0.
    """

    numbers: Integers
    lowest: Integers

    @classmethod
    def predicted(cls, model: ContextModel, means: Integers, scales: Integers, lanes: int) -> "_Tables":
        whole, fractions = np.divmod(means, model.fractions)
        numbers = scales * model.fractions + fractions
        return cls(_in_steps(numbers, lanes, SCALES * model.fractions), _in_steps(whole - model.reach, lanes, 0))


def _encode(model: ContextModel, level: int, symbols: Symbols, counts: Integers, *, short: bool) -> list[bytes]:
    pictures, _, height, width = symbols.shape
    lanes = picture_lanes(height, width)
    context = ContextPredictor(model, level, int(counts[0]), (pictures, height, width))
    starts, widths = [], []
    for channel in range(counts[0]):
        coding = int(np.count_nonzero(counts > channel))
        silent = ((0, 0), (0, (pictures - coding) * lanes))
        context.keep(coding)
        for step in range(len(PASSES)):
            values = symbols[:coding, channel][_of_pass(step)]
            tables = _Tables.predicted(model, *context.predict(channel, step), lanes)
            start, width_of_symbol = _slots(model, tables, _in_steps(values, lanes, 0))
            starts.append(np.pad(start.astype(np.uint16), silent))
            widths.append(np.pad(width_of_symbol.astype(np.uint16), silent, constant_values=TOTAL))
            context.put(step, values)
        context.close(channel)
    shape = (-1, pictures, lanes)
    return encode(np.concatenate(starts).reshape(shape), np.concatenate(widths).reshape(shape), short=short)


def _slots(model: ContextModel, tables: _Tables, values: NDArray[np.integer]) -> tuple[Integers, Integers]:
    """First slots and numbers of slots of a pass's values, (T, N L); values out of reach bring steps of their own."""
    symbols, first_symbols = values - tables.lowest, tables.numbers * (model.far + 1)
    within = np.where((symbols < 0) | (symbols >= model.far), model.far, symbols)
    far = (within == model.far) | (model.widths[first_symbols + within] == 0)
    found = first_symbols + np.where(far, model.far, symbols)
    starts, widths = model.starts[found], model.widths[found]
    steps = np.flatnonzero(far.any(axis=1))
    if steps.size:
        bytes_of_value = np.stack([values[steps] >> 8 & 0xFF, values[steps] & 0xFF], axis=1)
        plain = np.broadcast_to(far[steps][:, None], bytes_of_value.shape).reshape(2 * len(steps), -1)
        after = np.repeat(steps + 1, 2)
        starts = np.insert(
            starts, after, np.where(plain, bytes_of_value.reshape(plain.shape) * _PLAIN_WIDTH, 0), axis=0
        )
        widths = np.insert(widths, after, np.where(plain, _PLAIN_WIDTH, TOTAL), axis=0)
    return starts, widths


def _decode(
    model: ContextModel, level: int, streams: Sequence[bytes], counts: Integers, size: tuple[int, int], *, short: bool
) -> Symbols:
    height, width = size
    lanes = picture_lanes(height, width)
    decoder = RansDecoder(streams, lanes, short=short)
    context = ContextPredictor(model, level, int(counts[0]), (len(streams), height, width))
    symbols = np.zeros((len(streams), model.channels, height, width), np.int16)
    for channel in range(counts[0]):
        coding = int(np.count_nonzero(counts > channel))
        context.keep(coding)
        decoder.keep(coding)
        for step in range(len(PASSES)):
            means, scales = context.predict(channel, step)
            read = _read(model, decoder, _Tables.predicted(model, means, scales, lanes))
            values = _from_steps(read, means.shape)
            if np.abs(values).max(initial=0) > LARGEST_SYMBOL:
                raise InvalidField(f"a code holds a value beyond +-{LARGEST_SYMBOL}")
            context.put(step, values)
            symbols[:coding, channel][_of_pass(step)] = values
        context.close(channel)
    decoder.finish()
    return symbols


def _read(model: ContextModel, decoder: RansDecoder, tables: _Tables) -> Integers:
    """(T, N L) values of a pass; the inverse of ``_slots``."""
    values = np.empty_like(tables.lowest)
    first_slots, first_symbols = tables.numbers << PRECISION, tables.numbers * (model.far + 1)
    for step in range(len(values)):
        slots = decoder.slots()
        symbols = model.symbol_of_slot.take(first_slots[step] + slots)
        found = first_symbols[step] + symbols
        decoder.advance(slots, model.starts.take(found), model.widths.take(found))
        values[step] = symbols
        if symbols.max() == model.far:
            far = symbols == model.far
            values[step, far] = (_read_plain(decoder, far) - tables.lowest[step])[far]
    return values + tables.lowest


def _read_plain(decoder: RansDecoder, far: NDArray[np.bool_]) -> Integers:
    """Values of two bytes, of the lanes that have one."""
    value = np.zeros(far.shape, np.int64)
    for _ in range(2):
        slots = decoder.slots()
        byte = slots // _PLAIN_WIDTH
        decoder.advance(slots, np.where(far, byte * _PLAIN_WIDTH, 0), np.where(far, _PLAIN_WIDTH, TOTAL))
        value = (value << 8) | byte
    return value - ((value >> 15) << 16)


def _of_pass(step: int) -> tuple[slice, slice, slice]:
    row, column = PASSES[step]
    return slice(None), slice(row, None, 2), slice(column, None, 2)


def _in_steps(values: NDArray[np.integer], lanes: int, missing: int) -> Integers:
    """(N, rows, columns) of a pass -> (T, N lanes), filled up where the last step has no value for a lane."""
    flat = values.reshape(len(values), -1).astype(np.int64)
    short = -flat.shape[1] % lanes
    filled = np.pad(flat, ((0, 0), (0, short)), constant_values=missing).reshape(len(values), -1, lanes)
    return np.ascontiguousarray(filled.transpose(1, 0, 2)).reshape(-1, len(values) * lanes)


def _from_steps(steps: Integers, shape: tuple[int, ...]) -> Integers:
    """The inverse of ``_in_steps``."""
    pictures, rows, columns = shape
    flat = steps.reshape(len(steps), pictures, steps.shape[1] // pictures).transpose(1, 0, 2).reshape(pictures, -1)
    return flat[:, : rows * columns].reshape(shape)
