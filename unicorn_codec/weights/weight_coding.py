"""Rows of float32 weights <-> integers with one step per row <-> bytes, for the weights of any network.

Every row has a step, of which its values are integer multiples, and a class, which tells how large the integers are and
so selects their frequency table. Steps, classes and integers are coded by the format's rANS, in this order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import MAX_WEIGHTS
from unicorn_codec.format.limits import MAX_EXPANSION
from unicorn_codec.format.rans import PRECISION, TOTAL, RansDecoder, encode
from unicorn_codec.weights.weight_tables import (
    CLASS_COUNT,
    ESCAPE,
    REACH,
    SLOT_SYMBOLS,
    SYMBOL_BITS,
    SYMBOL_FREQUENCIES,
    SYMBOL_STARTS,
    Integers,
    class_of_scale,
    shift_of_class,
    table_of_class,
)

LARGEST_INTEGER = (1 << 15) - 1
STEP_COUNT = 256
STEPS_PER_OCTAVE = 8
WEIGHTS_PER_LANE = 4096
"""Enough to make a lane's 16 wasted bits 0.1 % of it, and few enough for NumPy to run many lanes at once."""

_STEP_SIGNIFICANDS = np.array([256, 279, 304, 332, 362, 395, 431, 470], np.float32)
_STEP_EXPONENT = -32
_FIRST_STEP, _FIRST_CLASS = 160, 17

_CLASS_CHANGE_BITS = 1.5
"""Assumed cost of a class, in bits per unit of difference from the class of the row before."""

_CANDIDATES = 4
"""Number of classes to try on either side of those that the rows' mean magnitudes suggest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantisedRows:
    """A matrix of quantised weights.

    Args:
        integers: (rows, columns) within +-``LARGEST_INTEGER``.
        steps: (rows,) numbers of the rows' steps, 0 to ``STEP_COUNT`` - 1; see ``step_sizes``.
    """

    integers: Integers
    steps: Integers

    def __post_init__(self) -> None:
        check(
            self.integers.ndim == 2 and min(self.integers.shape) >= 1,
            "quantised rows must be a matrix of at least 1 x 1",
        )
        check(self.steps.shape == self.integers.shape[:1], "quantised rows must have one step each")
        check(
            bool((np.abs(self.integers) <= LARGEST_INTEGER).all()), f"quantised weights are within +-{LARGEST_INTEGER}"
        )
        check(
            bool(((self.steps >= 0) & (self.steps < STEP_COUNT)).all()), f"steps are numbers of 0 to {STEP_COUNT - 1}"
        )

    @property
    def values(self) -> NDArray[np.float32]:
        """(rows, columns): the weights, exact since a 15-bit integer times a step of 9 bits fits a float32."""
        return self.integers.astype(np.float32) * step_sizes(self.steps)[:, None]


def step_sizes(numbers: Integers) -> NDArray[np.float32]:
    """Return the float32 step of each number: about 2^(number / 8 - 24), with a significand of 9 bits."""
    octaves, eighths = np.divmod(numbers, STEPS_PER_OCTAVE)
    return np.ldexp(_STEP_SIGNIFICANDS[eighths], octaves + _STEP_EXPONENT)


def nearest_steps(sizes: NDArray[np.floating]) -> Integers:
    """Return the number of the step nearest to each size, by ratio. The inverse of ``step_sizes``."""
    octaves = np.log2(np.maximum(sizes.astype(np.float64), 2.0**-100)) - _STEP_EXPONENT - 8
    return np.clip(np.rint(octaves * STEPS_PER_OCTAVE), 0, STEP_COUNT - 1).astype(np.int64)


def quantise_rows(values: NDArray[np.float32], steps: Integers) -> QuantisedRows:
    """Round (rows, columns) values to multiples of their row's step, ties to even. Large ones saturate.

    Raises:
        InvalidSetting: values are not finite, or a step does not exist.
    """
    check(bool(np.isfinite(values).all()), "weights must be finite, but some are NaN or infinite")
    quotients = values.astype(np.float64) / step_sizes(steps)[:, None]
    integers = np.clip(np.rint(quotients), -LARGEST_INTEGER, LARGEST_INTEGER).astype(np.int64)
    return QuantisedRows(integers=integers, steps=steps.astype(np.int64))


def encode_rows(matrices: Sequence[QuantisedRows]) -> bytes:
    """Encode all matrices together.

    Raises:
        InvalidSetting: there are no weights, or more than a file may hold.
    """
    shapes = [matrix.integers.shape for matrix in matrices]
    count = sum(rows * columns for rows, columns in shapes)
    check(1 <= count <= MAX_WEIGHTS, f"{count} weights, allowed are 1 to {MAX_WEIGHTS}")
    lanes = weight_lanes(count)
    classes = choose_classes([matrix.integers for matrix in matrices])
    steps = np.concatenate([matrix.steps for matrix in matrices])
    integers = np.concatenate([matrix.integers.ravel() for matrix in matrices])
    step_changes, class_changes = np.diff(steps, prepend=_FIRST_STEP), np.diff(classes, prepend=_FIRST_CLASS)
    class_of_steps, class_of_classes = _cheapest_class(step_changes), _cheapest_class(class_changes)
    parts = (
        _encode_part(step_changes, np.full_like(steps, class_of_steps), lanes),
        _encode_part(class_changes, np.full_like(steps, class_of_classes), lanes),
        _encode_part(integers, np.repeat(classes, _columns(shapes)), lanes),
    )
    (stream,) = encode(*(np.concatenate(each)[:, None] for each in zip(*parts, strict=True)), short=False)
    return bytes([class_of_steps, class_of_classes]) + stream


def decode_rows(data: bytes, shapes: Sequence[tuple[int, int]]) -> list[QuantisedRows]:
    """Decode matrices of the given (rows, columns). The inverse of ``encode_rows``.

    Raises:
        InvalidField: the bytes do not encode such matrices.
    """
    count = sum(rows * columns for rows, columns in shapes)
    if not 1 <= count <= min(MAX_WEIGHTS, MAX_EXPANSION * len(data)):
        raise InvalidField(
            f"{count} weights in {len(data)} bytes, allowed are 1 to {MAX_WEIGHTS}, and {MAX_EXPANSION} a byte"
        )
    if max(data[:2]) >= CLASS_COUNT:
        raise InvalidField(f"the first two bytes are the classes {[*data[:2]]}, allowed are 0 to {CLASS_COUNT - 1}")
    lanes, rows = weight_lanes(count), sum(rows for rows, _ in shapes)
    decoder = RansDecoder([data[2:]], lanes, short=False)
    class_of_steps, class_of_classes = (np.full(rows, each, np.int64) for each in data[:2])
    steps = _running_sum(_decode_part(decoder, class_of_steps, lanes), _FIRST_STEP, STEP_COUNT, "step")
    classes = _running_sum(_decode_part(decoder, class_of_classes, lanes), _FIRST_CLASS, CLASS_COUNT, "class")
    integers = _decode_part(decoder, np.repeat(classes, _columns(shapes)), lanes)
    decoder.finish()
    if np.abs(integers).max() > LARGEST_INTEGER:
        raise InvalidField(f"a weight is beyond +-{LARGEST_INTEGER} steps")
    return list(_matrices(integers, steps, shapes))


def _columns(shapes: Sequence[tuple[int, int]]) -> Integers:
    """Return the number of columns of each row of all matrices."""
    return np.repeat([columns for _, columns in shapes], [rows for rows, _ in shapes])


def _running_sum(changes: Integers, first: int, count: int, what: str) -> Integers:
    """Undo ``np.diff``. Raises ``InvalidField`` for a number that is not below ``count``."""
    numbers = first + np.cumsum(changes)
    if numbers.min() < 0 or numbers.max() >= count:
        raise InvalidField(f"{what} numbers run from {numbers.min()} to {numbers.max()}, allowed are 0 to {count - 1}")
    return numbers


def _matrices(integers: Integers, steps: Integers, shapes: Sequence[tuple[int, int]]) -> Iterator[QuantisedRows]:
    first = first_row = 0
    for rows, columns in shapes:
        last, last_row = first + rows * columns, first_row + rows
        yield QuantisedRows(integers=integers[first:last].reshape(rows, columns), steps=steps[first_row:last_row])
        first, first_row = last, last_row


def weight_lanes(count: int) -> int:
    """Return the number of lanes in a stream of ``count`` weights."""
    return -(-count // WEIGHTS_PER_LANE)


def _in_lanes(numbers: Integers, lanes: int) -> Integers:
    """Arrange numbers as (T, lanes), number k in step k // lanes. Fills up with -1."""
    return np.pad(numbers, (0, -len(numbers) % lanes), constant_values=-1).reshape(-1, lanes)


def _encode_part(integers: Integers, classes: Integers, lanes: int) -> tuple[Integers, Integers]:
    """Return first slots and frequencies of a part, (T, lanes) each: a symbol, then two raw bytes or low bits."""
    value, of_class = _in_lanes(integers, lanes), _in_lanes(classes, lanes)
    active = of_class >= 0
    table, shift = table_of_class(of_class * active), shift_of_class(of_class * active)
    shifted = value + (1 << shift >> 1)
    high = shifted >> shift
    escaped = active & (np.abs(high) > REACH)
    found = (table, np.where(escaped, ESCAPE, high + REACH) * active)
    widths = np.broadcast_arrays(PRECISION - 8, PRECISION - 8, PRECISION - shift)
    raw = (value >> 8 & 0xFF, value & 0xFF, shifted & ((1 << shift) - 1))
    starts = [SYMBOL_STARTS[found], *(part << width for part, width in zip(raw, widths, strict=True))]
    frequencies = [SYMBOL_FREQUENCIES[found], *(1 << width for width in widths)]
    used = np.stack([active, escaped, escaped, active & ~escaped & (shift > 0)], axis=1)
    places = used.any(axis=2)
    # Lanes that have nothing to code get a symbol that owns all slots.
    return (
        np.where(used, np.stack(starts, axis=1), 0)[places],
        np.where(used, np.stack(frequencies, axis=1), TOTAL)[places],
    )


def _decode_part(decoder: RansDecoder, classes: Integers, lanes: int) -> Integers:
    """Decode the integers of a part, (n,). The inverse of ``_encode_part``."""
    of_class = _in_lanes(classes, lanes)
    values = np.zeros(of_class.shape, np.int64)
    tables, shifts = table_of_class(np.maximum(of_class, 0)), shift_of_class(of_class)
    eight = np.full(lanes, 8)
    for step, (table, shift, active) in enumerate(zip(tables, shifts, of_class >= 0, strict=True)):
        slots = decoder.slots()
        symbol = SLOT_SYMBOLS[table, slots]
        found = (table, symbol)
        decoder.advance(
            slots, np.where(active, SYMBOL_STARTS[found], 0), np.where(active, SYMBOL_FREQUENCIES[found], TOTAL)
        )
        value = symbol.astype(np.int64) - REACH
        escaped = active & (symbol == ESCAPE)
        has_low_bits = active & ~escaped & (shift > 0)
        if escaped.any():
            high, low = _read_raw(decoder, eight, escaped), _read_raw(decoder, eight, escaped)
            value = np.where(escaped, (high << 8 | low) - (high >> 7 << 16), value)
        if has_low_bits.any():
            low = _read_raw(decoder, shift, has_low_bits)
            value = np.where(has_low_bits, (value << shift) + low - (1 << shift >> 1), value)
        values[step] = value
    return values.ravel()[: len(classes)]


def _read_raw(decoder: RansDecoder, bits: Integers, active: NDArray[np.bool_]) -> Integers:
    """Read raw numbers, (lanes,) of ``bits`` bits, for the active lanes."""
    slots, width = decoder.slots(), PRECISION - bits
    number = slots >> width
    decoder.advance(slots, np.where(active, number << width, 0), np.where(active, 1 << width, TOTAL))
    return number


def choose_classes(matrices: Sequence[Integers]) -> Integers:
    """Return the class of each row with which all rows take the fewest bits, changes of class included."""
    means = np.concatenate([np.abs(matrix).mean(axis=1) for matrix in matrices])
    # A logistic distribution of scale s has a mean magnitude of 2 ln(2) s.
    suggested = class_of_scale(means / (2 * np.log(2)))
    lowest = max(0, int(suggested.min()) - _CANDIDATES)
    candidates = range(lowest, min(CLASS_COUNT, int(suggested.max()) + _CANDIDATES + 1))
    bits = np.concatenate([_bits_of_rows(matrix, candidates) for matrix in matrices])
    return lowest + _cheapest_path(bits, _CLASS_CHANGE_BITS)


def _cheapest_class(integers: Integers) -> int:
    """Return the class by which (n,) integers take the fewest bits."""
    return int(_bits_of_rows(integers[None], range(CLASS_COUNT)).argmin())


def _bits_of_rows(rows: Integers, classes: range) -> NDArray[np.float64]:
    """Return the bits that each row takes in each class, (rows, classes)."""
    bits = np.empty((len(rows), len(classes)))
    for column, (table, shift) in enumerate(
        zip(table_of_class(np.array(classes)), shift_of_class(np.array(classes)), strict=True)
    ):
        high = (rows + (1 << shift >> 1)) >> shift
        escaped = np.abs(high) > REACH
        symbols = SYMBOL_BITS[table, np.where(escaped, ESCAPE, high + REACH)]
        bits[:, column] = (symbols + np.where(escaped, 16, shift)).sum(axis=1)
    return bits


def _cheapest_path(bits: NDArray[np.float64], change_bits: float) -> Integers:
    """Return the cheapest column of each row; changing it costs ``change_bits`` per unit (Viterbi, 1967)."""
    columns = np.arange(bits.shape[1])
    changes = change_bits * np.abs(columns[:, None] - columns)
    total, origins = np.zeros(len(columns)), np.zeros(bits.shape, np.int64)
    for row, of_row in enumerate(bits):
        arrivals = total[:, None] + changes
        origins[row] = arrivals.argmin(axis=0)
        total = arrivals.min(axis=0) + of_row
    path = np.empty(len(bits), np.int64)
    column = int(total.argmin())
    for row in range(len(bits) - 1, -1, -1):
        path[row] = column
        column = int(origins[row, column])
    return path
