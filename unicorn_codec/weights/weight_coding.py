"""Rows of float32 weights <-> integers with a step a row <-> bytes, for weights of any network.

Every row has a step, which its values are integer multiples of, and a class, which says how large the integers
are and so by which table they are coded. Steps, classes and integers go through the format's rANS, in this order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.bit_packing import MAX_EXPANSION
from unicorn_codec.format.header import MAX_WEIGHTS, check
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
"""Enough for a lane's 16 wasted bits to be a thousandth of what it holds, few enough for NumPy to have company."""

_STEP_SIGNIFICANDS = np.array([256, 279, 304, 332, 362, 395, 431, 470], np.float32)
_STEP_EXPONENT = -32
_FIRST_STEP, _FIRST_CLASS = 160, 17

_CLASS_CHANGE_BITS = 1.5
"""What the writer takes a class to cost for each unit that it differs from the row before's."""

_CANDIDATES = 4
"""Classes that the writer tries on either side of those that the rows' mean magnitudes suggest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantisedRows:
    """A matrix of weights as it is stored.

    Args:
        integers: (rows, columns) within +-``LARGEST_INTEGER``.
        steps: (rows,) number of each row's step, 0 to ``STEP_COUNT`` - 1; see ``step_sizes``.
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
        """(rows, columns) the weights: exact, since an integer of 15 bits times a step of 9 fits a float32."""
        return self.integers.astype(np.float32) * step_sizes(self.steps)[:, None]


def step_sizes(numbers: Integers) -> NDArray[np.float32]:
    """The float32 step of each number: about 2^(number / 8 - 24), exactly a significand of 9 bits."""
    octaves, eighths = np.divmod(numbers, STEPS_PER_OCTAVE)
    return np.ldexp(_STEP_SIGNIFICANDS[eighths], octaves + _STEP_EXPONENT)


def nearest_steps(sizes: NDArray[np.floating]) -> Integers:
    """Number of the step nearest to each size, by ratio; the inverse of ``step_sizes`` where there is one."""
    octaves = np.log2(np.maximum(sizes.astype(np.float64), 2.0**-100)) - _STEP_EXPONENT - 8
    return np.clip(np.rint(octaves * STEPS_PER_OCTAVE), 0, STEP_COUNT - 1).astype(np.int64)


def quantise_rows(values: NDArray[np.float32], steps: Integers) -> QuantisedRows:
    """Round (rows, columns) finite values to multiples of their row's step, ties to even; large ones saturate.

    Raises ``InvalidSetting`` for values that are not finite and for steps that do not exist.
    """
    check(bool(np.isfinite(values).all()), "weights must be finite, but some are NaN or infinite")
    quotients = values.astype(np.float64) / step_sizes(steps)[:, None]
    integers = np.clip(np.rint(quotients), -LARGEST_INTEGER, LARGEST_INTEGER).astype(np.int64)
    return QuantisedRows(integers=integers, steps=steps.astype(np.int64))


def encode_rows(matrices: Sequence[QuantisedRows]) -> bytes:
    """Bytes of all matrices together. Raises ``InvalidSetting`` for none, or more weights than a file may hold."""
    shapes = [matrix.integers.shape for matrix in matrices]
    count = sum(rows * columns for rows, columns in shapes)
    check(1 <= count <= MAX_WEIGHTS, f"{count} weights, allowed are 1 to {MAX_WEIGHTS}")
    lanes = weight_lanes(count)
    classes = choose_classes([matrix.integers for matrix in matrices])
    steps = np.concatenate([matrix.steps for matrix in matrices])
    integers = np.concatenate([matrix.integers.ravel() for matrix in matrices])
    step_changes, class_changes = np.diff(steps, prepend=_FIRST_STEP), np.diff(classes, prepend=_FIRST_CLASS)
    of_steps, of_classes = (
        int(_bits_of_rows(x[None], range(CLASS_COUNT)).argmin()) for x in (step_changes, class_changes)
    )
    parts = (
        _coded(step_changes, np.full_like(steps, of_steps), lanes),
        _coded(class_changes, np.full_like(steps, of_classes), lanes),
        _coded(integers, np.repeat(classes, _columns(shapes)), lanes),
    )
    (stream,) = encode(*(np.concatenate(each)[:, None] for each in zip(*parts, strict=True)), short=False)
    return bytes([of_steps, of_classes]) + stream


def decode_rows(data: bytes, shapes: Sequence[tuple[int, int]]) -> list[QuantisedRows]:
    """Matrices of the given (rows, columns); the inverse of ``encode_rows``.

    Raises:
        InvalidField: the bytes are not those of such matrices.
    """
    count = sum(rows * columns for rows, columns in shapes)
    if not 1 <= count <= min(MAX_WEIGHTS, MAX_EXPANSION * len(data)):
        raise InvalidField(
            f"{count} weights in {len(data)} bytes, allowed are 1 to {MAX_WEIGHTS}, and {MAX_EXPANSION} a byte"
        )
    if max(data[:2]) >= CLASS_COUNT:
        raise InvalidField(f"the classes of steps and classes are {[*data[:2]]}, allowed are 0 to {CLASS_COUNT - 1}")
    lanes, rows = weight_lanes(count), sum(rows for rows, _ in shapes)
    decoder = RansDecoder([data[2:]], lanes, short=False)
    of_steps, of_classes = (np.full(rows, each, np.int64) for each in data[:2])
    steps = _running_sum(_decoded(decoder, of_steps, lanes), _FIRST_STEP, STEP_COUNT, "step")
    classes = _running_sum(_decoded(decoder, of_classes, lanes), _FIRST_CLASS, CLASS_COUNT, "class")
    integers = _decoded(decoder, np.repeat(classes, _columns(shapes)), lanes)
    decoder.finish()
    if np.abs(integers).max() > LARGEST_INTEGER:
        raise InvalidField(f"a weight beyond +-{LARGEST_INTEGER} steps")
    return list(_matrices(integers, steps, shapes))


def _columns(shapes: Sequence[tuple[int, int]]) -> Integers:
    """Columns of each row of all matrices."""
    return np.repeat([columns for _, columns in shapes], [rows for rows, _ in shapes])


def _running_sum(changes: Integers, first: int, count: int, what: str) -> Integers:
    """The inverse of taking differences. Raises ``InvalidField`` for numbers that do not exist."""
    numbers = first + np.cumsum(changes)
    if numbers.min() < 0 or numbers.max() >= count:
        raise InvalidField(f"a {what} of {numbers.min()} to {numbers.max()}, allowed are 0 to {count - 1}")
    return numbers


def _matrices(integers: Integers, steps: Integers, shapes: Sequence[tuple[int, int]]) -> Iterator[QuantisedRows]:
    first = first_row = 0
    for rows, columns in shapes:
        last, last_row = first + rows * columns, first_row + rows
        yield QuantisedRows(integers=integers[first:last].reshape(rows, columns), steps=steps[first_row:last_row])
        first, first_row = last, last_row


def weight_lanes(count: int) -> int:
    """Lanes of the stream of so many weights."""
    return -(-count // WEIGHTS_PER_LANE)


def _in_lanes(numbers: Integers, lanes: int) -> Integers:
    """(n,) -> (T, lanes), number k in step k // lanes; -1 after the end."""
    return np.pad(numbers, (0, -len(numbers) % lanes), constant_values=-1).reshape(-1, lanes)


def _coded(integers: Integers, classes: Integers, lanes: int) -> tuple[Integers, Integers]:
    """What ``rans.encode`` wants of a part, (T, lanes) each: a symbol, two bytes of a far value, or low bits."""
    value, of_class = _in_lanes(integers, lanes), _in_lanes(classes, lanes)
    active = of_class >= 0
    table, shift = table_of_class(of_class * active), shift_of_class(of_class * active)
    shifted = value + (1 << shift >> 1)
    high = shifted >> shift
    far = active & (np.abs(high) > REACH)
    found = (table, np.where(far, ESCAPE, high + REACH) * active)
    widths = np.broadcast_arrays(PRECISION - 8, PRECISION - 8, PRECISION - shift)
    plain = (value >> 8 & 0xFF, value & 0xFF, shifted & ((1 << shift) - 1))
    starts = [SYMBOL_STARTS[found], *(part << width for part, width in zip(plain, widths, strict=True))]
    frequencies = [SYMBOL_FREQUENCIES[found], *(1 << width for width in widths)]
    used = np.stack([active, far, far, active & ~far & (shift > 0)], axis=1)
    places = used.any(axis=2)
    # Lanes that have nothing to code get a symbol of all slots.
    return (
        np.where(used, np.stack(starts, axis=1), 0)[places],
        np.where(used, np.stack(frequencies, axis=1), TOTAL)[places],
    )


def _decoded(decoder: RansDecoder, classes: Integers, lanes: int) -> Integers:
    """Integers of a part, (n,); the inverse of ``_coded``."""
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
        far = active & (symbol == ESCAPE)
        near = active & ~far & (shift > 0)
        if far.any():
            high, low = _plain(decoder, eight, far), _plain(decoder, eight, far)
            value = np.where(far, (high << 8 | low) - (high >> 7 << 16), value)
        if near.any():
            low = _plain(decoder, shift, near)
            value = np.where(near, (value << shift) + low - (1 << shift >> 1), value)
        values[step] = value
    return values.ravel()[: len(classes)]


def _plain(decoder: RansDecoder, bits: Integers, active: NDArray[np.bool_]) -> Integers:
    """(lanes,) numbers of so many bits each, of the lanes that have one."""
    slots, width = decoder.slots(), PRECISION - bits
    number = slots >> width
    decoder.advance(slots, np.where(active, number << width, 0), np.where(active, 1 << width, TOTAL))
    return number


def choose_classes(matrices: Sequence[Integers]) -> Integers:
    """Class of each row of all matrices with which they take the fewest bits, changes of class included."""
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
    """(rows, classes) bits that each row would take by each class."""
    bits = np.empty((len(rows), len(classes)))
    for column, (table, shift) in enumerate(
        zip(table_of_class(np.array(classes)), shift_of_class(np.array(classes)), strict=True)
    ):
        high = (rows + (1 << shift >> 1)) >> shift
        far = np.abs(high) > REACH
        symbols = SYMBOL_BITS[table, np.where(far, ESCAPE, high + REACH)]
        bits[:, column] = (symbols + np.where(far, 16, shift)).sum(axis=1)
    return bits


def _cheapest_path(bits: NDArray[np.float64], change_bits: float) -> Integers:
    """The column of each row with the least sum of bits, a change of column costing for each unit (Viterbi, 1967)."""
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
