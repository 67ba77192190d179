"""Kernels of the context model and its entropy coder, compiled by numba for one picture at a time.

They compute what ``ContextPredictor``, ``RansDecoder`` and ``rans.encode`` compute, in integers. Most latents are zero
at usual rates, and a value of zero changes no sum: the kernels visit the others alone, matrix products visit all.
"""

from collections.abc import Callable
from typing import NamedTuple, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.context_model import (
    FEATURE_BITS,
    HIDDEN_LIMIT,
    MAX_SYMBOL,
    NEIGHBOURS,
    PASSES,
    SCALES,
    WEIGHT_BITS,
)
from unicorn_codec.codes.context_predictor import BLOCK
from unicorn_codec.format.rans import LOWEST, PRECISION, RAW_BITS, RAW_WIDTH, TOTAL

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_SLOT = TOTAL - 1
_SHIFT = WEIGHT_BITS + FEATURE_BITS
_HALF = 1 << (_SHIFT - 1)
_WORD = (1 << 16) - 1
_LARGEST = (1 << 15) - 1
_ROWS, _COLUMNS = (np.array(offsets) for offsets in zip(*NEIGHBOURS, strict=True))
_FIRST_ROWS, _FIRST_COLUMNS = (np.array(offsets) for offsets in zip(*PASSES, strict=True))


class Kernel(NamedTuple):
    """A context model of C channels and H hidden values, as the kernels read it; the first axis of two is the sign.

    Args:
        later: (C, 2, 9, C H), what a value's magnitude adds to the sums of later channels at each neighbour.
        same: (4, C, 2, 9, H), the same within its channel, for each pass.
        linear: (4, C, 9), what a value adds to a mean.
        known, known_count: (4, 9) and (4,), the neighbours that each pass knows, and their number.
        bias, mean_bias, scale_bias: of the level: (4, C, H), (4, C), (4, C).
        heads: (C, 2, H).
        magnitudes: (256,).
        symbol_of_slot, starts, widths: see ``ContextModel``.
        fraction_bits: the logarithm of ``ContextModel.fractions``.
        escape, reach: see ``ContextModel``.
    """

    later: NDArray[np.int32]
    same: NDArray[np.int32]
    linear: NDArray[np.int64]
    known: NDArray[np.int64]
    known_count: NDArray[np.int64]
    bias: NDArray[np.int32]
    mean_bias: NDArray[np.int64]
    scale_bias: NDArray[np.int64]
    heads: NDArray[np.int64]
    magnitudes: NDArray[np.int32]
    symbol_of_slot: NDArray[np.uint8]
    starts: NDArray[np.int64]
    widths: NDArray[np.int64]
    fraction_bits: int
    escape: int
    reach: int


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function at its first call; other threads run meanwhile."""
    made: Callable[Parameters, Result] = numba.njit(nogil=True, cache=True)(function)
    return made


@compiled
def _spread(
    kernel: Kernel, sums: NDArray[np.int32], plane: NDArray[np.int16], channel: int, first: int, block: int
) -> None:
    """Add a channel's values (h, w) to the sums of a block's channels from ``first`` on.

    Args:
        sums: (h + 2, w + 2, BLOCK H), with a margin of one cell.
    """
    hidden = kernel.same.shape[4]
    channels = min(kernel.same.shape[1], block + BLOCK)
    low, high, base = first * hidden, channels * hidden, block * hidden
    for row in range(plane.shape[0]):
        for column in range(plane.shape[1]):
            value = int(plane[row, column])
            if value == 0:
                continue
            size = kernel.magnitudes[min(abs(value), MAX_SYMBOL)]
            sign = 1 if value < 0 else 0
            for place in range(9):
                target = sums[row + 1 - _ROWS[place], column + 1 - _COLUMNS[place], low - base : high - base]
                weights = kernel.later[channel, sign, place, low:high]
                for number in range(high - low):
                    target[number] += size * weights[number]


@compiled
def _begin_block(kernel: Kernel, sums: NDArray[np.int32], symbols: NDArray[np.int16], block: int) -> None:
    """Set the sums of a block's channels to what all channels before it, of (C, h, w), add to them."""
    sums[:] = 0
    for channel in range(block):
        _spread(kernel, sums, symbols[channel], channel, block, block)


@compiled
def _predict(
    kernel: Kernel,
    sums: NDArray[np.int32],
    plane: NDArray[np.int16],
    channel: int,
    pass_index: int,
    row: int,
    column: int,
    hidden: NDArray[np.int32],
) -> tuple[int, int]:
    """Return the number of a value's table, and the value of the table's first symbol.

    Args:
        plane: (h, w) of the channel, as far as it is known.
        hidden: (H,), which this function overwrites.
    """
    offset = channel % BLOCK * len(hidden)
    for number in range(len(hidden)):
        hidden[number] = sums[row + 1, column + 1, offset + number] + kernel.bias[pass_index, channel, number]
    mean, scale = kernel.mean_bias[pass_index, channel], kernel.scale_bias[pass_index, channel]
    for known in range(kernel.known_count[pass_index]):
        place = kernel.known[pass_index, known]
        above, left = row + _ROWS[place], column + _COLUMNS[place]
        if above < 0 or left < 0 or above >= plane.shape[0] or left >= plane.shape[1]:
            continue
        value = int(plane[above, left])
        if value == 0:
            continue
        size = kernel.magnitudes[min(abs(value), MAX_SYMBOL)]
        weights = kernel.same[pass_index, channel, 1 if value < 0 else 0, place]
        for number in range(len(hidden)):
            hidden[number] += size * weights[number]
        mean += kernel.linear[pass_index, channel, place] * min(max(value, -MAX_SYMBOL), MAX_SYMBOL)
    for number in range(len(hidden)):
        activation = min(max(int(hidden[number]) >> WEIGHT_BITS, 0), HIDDEN_LIMIT)
        mean += activation * kernel.heads[channel, 0, number]
        scale += activation * kernel.heads[channel, 1, number]
    mean = ((mean << kernel.fraction_bits) + _HALF) >> _SHIFT
    scale = min(max((scale + _HALF) >> _SHIFT, 0), SCALES - 1)
    fraction = mean & ((1 << kernel.fraction_bits) - 1)
    return (scale << kernel.fraction_bits) + fraction, (mean >> kernel.fraction_bits) - kernel.reach


@compiled
def _feed(states: NDArray[np.int64], lane: int, words: NDArray[np.int64], place: int, floor: int) -> int:
    """Read a word if a lane's state is below its floor. Return the place of the next word."""
    if states[lane] >= floor:
        return place
    states[lane] = (states[lane] << 16) | words[min(place, len(words) - 1)]
    return place + 1


@compiled
def decode_stream(
    kernel: Kernel,
    channels: int,
    states: NDArray[np.int64],
    floor: int,
    place: int,
    end: int,
    words: NDArray[np.int64],
    is_short: bool,
    symbols: NDArray[np.int16],
) -> int:
    """Decode the values of a picture's leading channels. Return the place of the word after the last one read.

    Args:
        states: (L,) of its lanes; they end as ``RansDecoder`` would have them.
        floor, place, end: lower bound of the states, the stream's next word, and the one after its last.
        symbols: (C, h, w) zeros, which become the values.

    Returns:
        -1 if a value is out of range.
    """
    lanes, height, width = len(states), symbols.shape[1], symbols.shape[2]
    hidden = np.empty(kernel.same.shape[4], np.int32)
    sums = np.empty((height + 2, width + 2, BLOCK * len(hidden)), np.int32)
    rows, columns, is_escaped = np.empty(lanes, np.int64), np.empty(lanes, np.int64), np.empty(lanes, np.bool_)
    for channel in range(channels):
        plane = symbols[channel]
        if channel % BLOCK == 0:
            _begin_block(kernel, sums, symbols, channel)
        for pass_index in range(4):
            first_row, first_column = _FIRST_ROWS[pass_index], _FIRST_COLUMNS[pass_index]
            of_row = (width - first_column + 1) // 2
            count = (height - first_row + 1) // 2 * of_row
            for start in range(0, count, lanes):
                before, any_escaped = place, False
                for lane in range(lanes):
                    is_escaped[lane] = False
                    if start + lane < count:
                        row = first_row + 2 * ((start + lane) // of_row)
                        column = first_column + 2 * ((start + lane) % of_row)
                        table, lowest = _predict(kernel, sums, plane, channel, pass_index, row, column, hidden)
                        slot = states[lane] & _SLOT
                        symbol = int(kernel.symbol_of_slot[(table << PRECISION) + slot])
                        found = table * (kernel.escape + 1) + symbol
                        states[lane] = (states[lane] >> PRECISION) * kernel.widths[found] + slot - kernel.starts[found]
                        if symbol == kernel.escape:
                            rows[lane], columns[lane], is_escaped[lane], any_escaped = row, column, True, True
                        elif abs(symbol + lowest) > _LARGEST:
                            return -1
                        else:
                            plane[row, column] = symbol + lowest
                    place = _feed(states, lane, words, place, floor)
                if is_short and place != before and place == end:
                    states -= LOWEST
                    floor = 0
                if not any_escaped:
                    continue
                for byte_number in range(RAW_BITS // 8):
                    before = place
                    for lane in range(lanes):
                        if is_escaped[lane]:
                            slot = states[lane] & _SLOT
                            byte = slot // RAW_WIDTH
                            states[lane] = (states[lane] >> PRECISION) * RAW_WIDTH + slot - byte * RAW_WIDTH
                            if byte_number == 0:
                                plane[rows[lane], columns[lane]] = np.int16((byte ^ 0x80) - 0x80)
                            else:
                                value = (int(plane[rows[lane], columns[lane]]) << 8) | byte
                                if value < -_LARGEST:
                                    return -1
                                plane[rows[lane], columns[lane]] = value
                        place = _feed(states, lane, words, place, floor)
                    if is_short and place != before and place == end:
                        states -= LOWEST
                        floor = 0
        if (channel + 1) % BLOCK and channel + 1 < channels:
            _spread(kernel, sums, plane, channel, channel + 1, channel // BLOCK * BLOCK)
    return place


@compiled
def slots_of_picture(
    kernel: Kernel, channels: int, symbols: NDArray[np.int16], starts: NDArray[np.uint16], widths: NDArray[np.uint16]
) -> int:
    """Find first slots and numbers of slots of a picture's values (C, h, w), in steps.

    Args:
        starts, widths: (T, L), which become the slots. Three steps a value are enough.

    Returns:
        The number of steps.
    """
    lanes, height, width = starts.shape[1], symbols.shape[1], symbols.shape[2]
    hidden = np.empty(kernel.same.shape[4], np.int32)
    sums = np.empty((height + 2, width + 2, BLOCK * len(hidden)), np.int32)
    raw = np.empty(lanes, np.int64)
    step = 0
    for channel in range(channels):
        plane = symbols[channel]
        if channel % BLOCK == 0:
            _begin_block(kernel, sums, symbols, channel)
        for pass_index in range(4):
            first_row, first_column = _FIRST_ROWS[pass_index], _FIRST_COLUMNS[pass_index]
            of_row = (width - first_column + 1) // 2
            count = (height - first_row + 1) // 2 * of_row
            for start in range(0, count, lanes):
                starts[step], widths[step] = 0, TOTAL
                raw[:] = -1
                any_escaped = False
                for lane in range(min(lanes, count - start)):
                    row = first_row + 2 * ((start + lane) // of_row)
                    column = first_column + 2 * ((start + lane) % of_row)
                    table, lowest = _predict(kernel, sums, plane, channel, pass_index, row, column, hidden)
                    value = int(plane[row, column])
                    first_symbol, symbol = table * (kernel.escape + 1), value - lowest
                    if symbol < 0 or symbol >= kernel.escape or kernel.widths[first_symbol + symbol] == 0:
                        symbol = kernel.escape
                        raw[lane], any_escaped = value & _WORD, True
                    starts[step, lane] = kernel.starts[first_symbol + symbol]
                    widths[step, lane] = kernel.widths[first_symbol + symbol]
                step += 1
                if not any_escaped:
                    continue
                for shift in (8, 0):
                    starts[step], widths[step] = 0, TOTAL
                    for lane in range(lanes):
                        if raw[lane] >= 0:
                            starts[step, lane] = ((raw[lane] >> shift) & 0xFF) * RAW_WIDTH
                            widths[step, lane] = RAW_WIDTH
                    step += 1
        if (channel + 1) % BLOCK and channel + 1 < channels:
            _spread(kernel, sums, plane, channel, channel + 1, channel // BLOCK * BLOCK)
    return step


@compiled
def encode_stream(
    starts: NDArray[np.uint16],
    widths: NDArray[np.uint16],
    states: NDArray[np.int64],
    words: NDArray[np.uint16],
    is_lifted: bool,
) -> int:
    """Encode the steps of a stream, (T, L). Return the number of words written.

    Args:
        states: (L,) at the encoder's start; they become those at the decoder's.
        words: (T L,), whose last ones become the stream's.
        is_lifted: false for a short stream.
    """
    lanes, place = len(states), len(words)
    for step in range(len(starts) - 1, -1, -1):
        if not is_lifted:
            for lane in range(lanes):
                is_lifted = is_lifted or states[lane] + LOWEST >= int(widths[step, lane]) << (32 - PRECISION)
            if is_lifted:
                states += LOWEST
        for lane in range(lanes - 1, -1, -1):
            start, width, state = int(starts[step, lane]), int(widths[step, lane]), states[lane]
            if state >= width << (32 - PRECISION):
                place -= 1
                words[place] = state & _WORD
                state >>= 16
            states[lane] = state + state // width * (TOTAL - width) + start
    return len(words) - place
