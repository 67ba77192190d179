"""Quantised latents of pictures <-> codes, one code per picture.

A value is coded as its distance from the integer part of the predicted mean, with the frequency table of its scale
class and of the mean's fraction. A value that is out of the table's reach, or has no slots there, is coded as the
escape symbol and 16 raw bits. Channels after the last one that is not all zero take no bytes. Pictures of one size are
coded in lockstep.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.compiled_coding import decode_streams, encode_pictures, is_compiled
from unicorn_codec.codes.context_model import (
    LARGEST_SYMBOL,
    OUT_OF_RANGE,
    PASSES,
    SCALES,
    ContextModel,
    Integers,
)
from unicorn_codec.codes.context_predictor import ContextPredictor, Levels
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.rans import (
    FEW_LANES,
    PRECISION,
    RAW_WIDTH,
    TOTAL,
    FewLanes,
    RansDecoder,
    SymbolTables,
    encode,
)

POSITIONS_PER_LANE = 256
"""Grid positions per lane: small pictures have one lane, and large ones decode as fast."""

POSITIONS_TOGETHER = 1 << 17
"""Largest number of grid positions that are coded in lockstep. Bounds the memory."""


Symbols = NDArray[np.int16]


def picture_lanes(height: int, width: int) -> int:
    """Return the number of lanes in a picture's code."""
    return -(-height * width // POSITIONS_PER_LANE)


def encode_symbols(model: ContextModel, levels: Levels, symbols: Symbols, *, short: bool = True) -> list[bytes]:
    """Encode the latents of pictures of one size and return the code of each.

    Args:
        levels: coarseness of the step: of all pictures, or (N, h, w) of their cells.
        symbols: (N, C, h, w) within +-``LARGEST_SYMBOL``.
        short: write short streams; long ones are those of older archives.
    """
    pictures, channels, height, width = symbols.shape
    assert channels == model.channels and np.abs(symbols).max(initial=0) <= LARGEST_SYMBOL
    counts = channel_counts(symbols)
    codes = [bytes([0])] * pictures
    lanes = picture_lanes(height, width)
    for group in _groups(counts, height, width):
        some, count = symbols[group], counts[group]
        if isinstance(levels, int) and is_compiled(model, pictures * height * width):
            streams = encode_pictures(model, levels, some, count, lanes, short=short)
        else:
            streams = _encode(model, _of_group(levels, group), some, count, lanes, short=short)
        for picture, stream in zip(group.tolist(), streams, strict=True):
            codes[picture] = bytes([counts[picture]]) + stream
    return codes


def decode_symbols(
    model: ContextModel,
    levels: Levels,
    codes: Sequence[bytes],
    height: int,
    width: int,
    *,
    short: bool,
    leading: int | None = None,
) -> Symbols:
    """Decode the codes of pictures of one size. The inverse of ``encode_symbols``.

    Args:
        levels: coarseness of the step: of all pictures, or (N, h, w) of their cells.
        leading: decode only these leading channels and leave the others zero. Damage in the rest is not found.

    Returns:
        (N, C, h, w) int16.

    Raises:
        InvalidField: a code is damaged.
    """
    counts = np.array([code[0] if code else 255 for code in codes], np.int64)
    if (counts > model.channels).any():
        raise InvalidField(f"a code has {counts.max()} channels, allowed are at most {model.channels}")
    if any(len(code) != 1 for code, count in zip(codes, counts, strict=True) if count == 0):
        raise InvalidField("a code without channels has more than one byte")
    symbols = np.zeros((len(codes), model.channels, height, width), np.int16)
    for group in _groups(counts, height, width):
        decoder = RansDecoder(
            [codes[picture][1:] for picture in group.tolist()], picture_lanes(height, width), short=short
        )
        channels = model.channels if leading is None else leading
        count, size = counts[group], (height, width)
        if isinstance(levels, int) and is_compiled(model, len(codes) * height * width):
            symbols[group] = decode_streams(model, levels, decoder, count, size, channels)
        else:
            symbols[group] = _decode(model, _of_group(levels, group), decoder, count, size, channels)
    return symbols


def channel_counts(symbols: Symbols) -> Integers:
    """Return the number of leading channels of each picture up to its last one that is not all zero, (N,)."""
    loud = symbols.any(axis=(2, 3))
    return np.max(np.where(loud, np.arange(1, symbols.shape[1] + 1), 0), axis=1, initial=0)


def _groups(counts: Integers, height: int, width: int) -> Iterator[Integers]:
    """Yield the numbers of the pictures to code together, those with most channels first. Empty ones are left out."""
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    together = max(1, POSITIONS_TOGETHER // (height * width))
    yield from (order[start : start + together] for start in range(0, len(order), together))


def _of_group(levels: Levels, group: Integers) -> Levels:
    """Return the levels of some pictures."""
    return levels if isinstance(levels, int) else levels[group]


class SymbolModel(Protocol):
    """Frequency tables one after the other, as ``ContextModel`` has them; the last one has a symbol with all slots."""

    @property
    def escape(self) -> int:
        """The last symbol of each table, which 16 raw bits follow."""

    @property
    def starts(self) -> Integers:
        """First slot of each symbol."""

    @property
    def widths(self) -> Integers:
        """Number of slots of each symbol."""

    @property
    def symbol_of_slot(self) -> NDArray[np.uint8]:
        """Symbol that owns each slot of each table."""

    @property
    def symbol_tables(self) -> SymbolTables:
        """The same for ``FewLanes``."""


@dataclass(frozen=True, slots=True)
class StepTables:
    """Frequency tables of a pass, (T, N L) each: numbers of the tables, and values of their first symbols.

    Lanes without a value in the last step get value 0 and the last table, in which one symbol has all slots.
    """

    numbers: Integers
    lowest: Integers

    @classmethod
    def predicted(cls, model: ContextModel, means: Integers, scales: Integers, lanes: int) -> "StepTables":
        whole, fractions = np.divmod(means, model.fractions)
        numbers = scales * model.fractions + fractions
        return cls(in_steps(numbers, lanes, SCALES * model.fractions), in_steps(whole - model.reach, lanes, 0))


def _encode(
    model: ContextModel, levels: Levels, symbols: Symbols, counts: Integers, lanes: int, *, short: bool
) -> list[bytes]:
    pictures, _, height, width = symbols.shape
    context = ContextPredictor(model, levels, int(counts[0]), (pictures, height, width))
    starts, widths = [], []
    for channel in range(counts[0]):
        coding = int(np.count_nonzero(counts > channel))
        silent = ((0, 0), (0, (pictures - coding) * lanes))
        context.keep(coding)
        for pass_index in range(len(PASSES)):
            values = symbols[:coding, channel][_of_pass(pass_index)]
            tables = StepTables.predicted(model, *context.predict(channel, pass_index), lanes)
            start, width_of_symbol = slots_of(model, tables, in_steps(values, lanes, 0))
            starts.append(np.pad(start.astype(np.uint16), silent))
            widths.append(np.pad(width_of_symbol.astype(np.uint16), silent, constant_values=TOTAL))
            context.add_values(pass_index, values)
        context.finish_channel(channel)
    shape = (-1, pictures, lanes)
    return encode(np.concatenate(starts).reshape(shape), np.concatenate(widths).reshape(shape), short=short)


def slots_of(model: SymbolModel, tables: StepTables, values: NDArray[np.integer]) -> tuple[Integers, Integers]:
    """Return first slots and numbers of slots of a pass's values, (T, N L). Escaped values add steps of their own."""
    symbols, first_symbols = values - tables.lowest, tables.numbers * (model.escape + 1)
    within = np.where((symbols < 0) | (symbols >= model.escape), model.escape, symbols)
    escaped = (within == model.escape) | (model.widths[first_symbols + within] == 0)
    found = first_symbols + np.where(escaped, model.escape, symbols)
    starts, widths = model.starts[found], model.widths[found]
    steps = np.flatnonzero(escaped.any(axis=1))
    if steps.size:
        bytes_of_value = np.stack([values[steps] >> 8 & 0xFF, values[steps] & 0xFF], axis=1)
        raw = np.broadcast_to(escaped[steps][:, None], bytes_of_value.shape).reshape(2 * len(steps), -1)
        after = np.repeat(steps + 1, 2)
        starts = np.insert(starts, after, np.where(raw, bytes_of_value.reshape(raw.shape) * RAW_WIDTH, 0), axis=0)
        widths = np.insert(widths, after, np.where(raw, RAW_WIDTH, TOTAL), axis=0)
    return starts, widths


def _decode(
    model: ContextModel, levels: Levels, decoder: RansDecoder, counts: Integers, size: tuple[int, int], channels: int
) -> Symbols:
    """Decode as ``decode_streams`` does, in NumPy."""
    (height, width), lanes, channels = size, decoder.lanes, min(int(counts[0]), channels)
    few = FewLanes(decoder) if len(counts) * lanes <= FEW_LANES else None
    context = ContextPredictor(model, levels, channels, (len(counts), height, width))
    symbols = np.zeros((len(counts), model.channels, height, width), np.int16)
    for channel in range(channels):
        coding = int(np.count_nonzero(counts > channel))
        context.keep(coding)
        decoder.keep(coding)
        for pass_index in range(len(PASSES)):
            means, scales = context.predict(channel, pass_index)
            tables = StepTables.predicted(model, means, scales, lanes)
            if few is None:
                read = read_values(model, decoder, tables)
            else:
                read = few.read(model.symbol_tables, tables.numbers, tables.lowest)
            values = _from_steps(read, means.shape)
            if np.abs(values).max(initial=0) > LARGEST_SYMBOL:
                raise InvalidField(OUT_OF_RANGE)
            context.add_values(pass_index, values)
            symbols[:coding, channel][_of_pass(pass_index)] = values
        context.finish_channel(channel)
    if channels == counts[0]:
        (few or decoder).finish()
    return symbols


def read_values(model: SymbolModel, decoder: RansDecoder, tables: StepTables) -> Integers:
    """Read the values of a pass, (T, N L). The inverse of ``slots_of``."""
    values = np.empty_like(tables.lowest)
    first_slots, first_symbols = tables.numbers << PRECISION, tables.numbers * (model.escape + 1)
    for step in range(len(values)):
        slots = decoder.slots()
        symbols = model.symbol_of_slot.take(first_slots[step] + slots)
        found = first_symbols[step] + symbols
        decoder.advance(slots, model.starts.take(found), model.widths.take(found))
        values[step] = symbols
        if symbols.max() == model.escape:
            escaped = symbols == model.escape
            values[step, escaped] = (_read_raw(decoder, escaped) - tables.lowest[step])[escaped]
    return values + tables.lowest


def _read_raw(decoder: RansDecoder, escaped: NDArray[np.bool_]) -> Integers:
    """Read values of 16 raw bits, for the lanes that have one."""
    value = np.zeros(escaped.shape, np.int64)
    for _ in range(2):
        slots = decoder.slots()
        byte = slots // RAW_WIDTH
        decoder.advance(slots, np.where(escaped, byte * RAW_WIDTH, 0), np.where(escaped, RAW_WIDTH, TOTAL))
        value = (value << 8) | byte
    return value - ((value >> 15) << 16)


def _of_pass(pass_index: int) -> tuple[slice, slice, slice]:
    row, column = PASSES[pass_index]
    return slice(None), slice(row, None, 2), slice(column, None, 2)


def in_steps(values: NDArray[np.integer], lanes: int, missing: int) -> Integers:
    """Arrange a pass as steps, (N, rows, columns) -> (T, N lanes).

    Lanes without a value in the last step get ``missing``.
    """
    flat = values.reshape(len(values), -1).astype(np.int64)
    short = -flat.shape[1] % lanes
    filled = np.pad(flat, ((0, 0), (0, short)), constant_values=missing).reshape(len(values), -1, lanes)
    return np.ascontiguousarray(filled.transpose(1, 0, 2)).reshape(-1, len(values) * lanes)


def _from_steps(steps: Integers, shape: tuple[int, ...]) -> Integers:
    """Undo ``in_steps``."""
    pictures, rows, columns = shape
    flat = steps.reshape(len(steps), pictures, steps.shape[1] // pictures).transpose(1, 0, 2).reshape(pictures, -1)
    return flat[:, : rows * columns].reshape(shape)
