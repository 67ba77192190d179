"""An overfitted function <-> its code: quantised parameters, then the integers of its planes, in one stream.

Layout: ``format_spec/uni-1.md``, "Overfitted functions".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.latent_coding import StepTables, in_steps, read_values, slots_of
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import refusing
from unicorn_codec.format.rans import FEW_LANES, FewLanes, RansDecoder, encode
from unicorn_codec.overfitted.function_shape import FRACTION_BITS, GROUPS, FunctionShape
from unicorn_codec.overfitted.integer_context import LARGEST_VALUE, IntegerContext, predict_all
from unicorn_codec.overfitted.laplace_tables import ESCAPE, FRACTIONS, REACH, SCALE_CLASSES, laplace_tables
from unicorn_codec.overfitted.value_layout import ValueLayout

Integers = NDArray[np.int64]

VALUES_PER_LANE = 4096
"""Parameters and values per lane of a stream."""

MAX_PARAMETER = (1 << 23) - 1
"""Limit of the magnitudes of parameters in units of 2^-12, so that float32 holds them exactly."""

_SILENT = SCALE_CLASSES * FRACTIONS


@dataclass(frozen=True)
class GroupCoding:
    """How the parameters of a group are coded.

    Args:
        bits: the step of their differences from the base is 2^-bits.
        scale_class: of their Laplace distribution.
    """

    bits: int
    scale_class: int


@dataclass(frozen=True, eq=False)
class CodedParameters:
    """Parameters of a function as a code stores them.

    Args:
        groups: coding of each group.
        differences: (K,) from the base, in steps of the parameter's group.
    """

    groups: Sequence[GroupCoding]
    differences: Integers

    def values(self, shape: FunctionShape, base: Integers) -> Integers:
        """Return the parameters in units of 2^-12, (K,). Raise ``InvalidField`` for one beyond the limit."""
        shifts = np.array([FRACTION_BITS - group.bits for group in self.groups])[shape.groups]
        values = base + (self.differences << shifts)
        if np.abs(values).max() > MAX_PARAMETER:
            raise InvalidField(f"a parameter of a function is beyond +-{MAX_PARAMETER}")
        return values


@dataclass(frozen=True, eq=False)
class DecodedFunction:
    """A function that a code holds.

    Args:
        parameters: (K,) in units of 2^-12.
        values: (N,) integers of its planes, by level, plane, row and column.
    """

    parameters: Integers
    values: Integers


def encode_function(
    shape: FunctionShape, base: Integers, coded: CodedParameters, size: tuple[int, int], values: Integers
) -> bytes:
    """Encode a function for latents of ``size`` rows and columns.

    Args:
        base: (K,) parameters of the base.
        values: (N,) within +-``LARGEST_VALUE``.
    """
    layout = ValueLayout(*size, shape.settings.planes)
    lanes = lane_count(shape, layout)
    context = IntegerContext.of(shape, coded.values(shape, base))
    means, classes = predict_all(context, layout, values)
    parts = [_parameter_slots(shape, coded, lanes)]
    start = 0
    ordered = values[layout.order]
    for end in layout.wave_ends.tolist():
        wave = slice(start, end)
        parts.append(_slots(_tables(means[wave], classes[wave], lanes), ordered[wave], lanes))
        start = end
    return _head(coded.groups) + _stream(parts)


def decode_function(shape: FunctionShape, base: Integers, size: tuple[int, int], code: bytes) -> DecodedFunction:
    """Decode a function. The inverse of ``encode_function``.

    Raises:
        InvalidField: the code is damaged, or its function has too many values.
    """
    with refusing("function"):
        layout = ValueLayout(*size, shape.settings.planes)
    reader = _Reader(code, lane_count(shape, layout))
    coded = reader.parameters(shape)
    parameters = coded.values(shape, base)
    context = IntegerContext.of(shape, parameters)
    buffer = np.zeros(layout.buffer_size, np.int64)
    for wave in layout.waves():
        means, classes = context.predict(buffer[layout.neighbours(wave)], layout.plane_numbers[wave])
        buffer[layout.places[wave]] = reader.values(means, classes)
    reader.finish()
    return DecodedFunction(parameters, buffer[layout.places])


def encode_parameters(shape: FunctionShape, coded: CodedParameters) -> bytes:
    """Encode parameters alone, as an archive stores its common function."""
    lanes = _lanes_for(shape.parameter_count)
    return _head(coded.groups) + _stream([_parameter_slots(shape, coded, lanes)])


def decode_parameters(shape: FunctionShape, base: Integers, code: bytes) -> Integers:
    """Decode parameters to units of 2^-12, (K,). The inverse of ``encode_parameters``. Raises ``InvalidField``."""
    reader = _Reader(code, _lanes_for(shape.parameter_count))
    coded = reader.parameters(shape)
    reader.finish()
    return coded.values(shape, base)


def base_of(shape: FunctionShape, common: bytes) -> Integers:
    """Return the parameters that those of an archive's codes differ from, (K,) in units of 2^-12.

    Args:
        common: stored parameters of the common function; empty without one, where that is the plain function.

    Raises:
        InvalidField: they are damaged.
    """
    return decode_parameters(shape, shape.plain, common) if common else shape.plain


def lane_count(shape: FunctionShape, layout: ValueLayout) -> int:
    """Return the number of lanes in a function's code."""
    return _lanes_for(shape.parameter_count + layout.count)


def _lanes_for(count: int) -> int:
    return -(-count // VALUES_PER_LANE)


class _Reader:
    """Reads the parameters and values of a code."""

    def __init__(self, code: bytes, lanes: int) -> None:
        if len(code) < 2 * len(GROUPS):
            raise InvalidField(f"a function of {len(code)} bytes, its head alone has {2 * len(GROUPS)}")
        pairs = zip(code[0 : 2 * len(GROUPS) : 2], code[1 : 2 * len(GROUPS) : 2], strict=True)
        self.groups = [GroupCoding(bits, scale_class) for bits, scale_class in pairs]
        for group in self.groups:
            if group.bits > FRACTION_BITS or group.scale_class >= SCALE_CLASSES:
                raise InvalidField(
                    f"a function with a step of {group.bits} bits and scale class {group.scale_class}, allowed are "
                    f"0 to {FRACTION_BITS} and 0 to {SCALE_CLASSES - 1}"
                )
        self._lanes = lanes
        self._decoder = RansDecoder([code[2 * len(GROUPS) :]], lanes, short=True)
        self._few = FewLanes(self._decoder) if lanes <= FEW_LANES else None

    def parameters(self, shape: FunctionShape) -> CodedParameters:
        """Read the differences of all parameters."""
        classes = np.array([group.scale_class for group in self.groups])[shape.groups]
        return CodedParameters(self.groups, self.values(np.zeros_like(classes), classes))

    def values(self, means: Integers, classes: Integers) -> Integers:
        """Read values of these means and scale classes, (n,)."""
        tables, model = _tables(means, classes, self._lanes), laplace_tables()
        if self._few is None:
            found = read_values(model, self._decoder, tables)
        else:
            found = self._few.read(model.symbol_tables, tables.numbers, tables.lowest)
        values = found.ravel()[: len(means)]
        if np.abs(values).max() > LARGEST_VALUE:
            raise InvalidField(f"a function holds a value beyond +-{LARGEST_VALUE}")
        return values

    def finish(self) -> None:
        """Check that the stream ends here."""
        (self._few or self._decoder).finish()


def _head(groups: Sequence[GroupCoding]) -> bytes:
    return bytes(number for group in groups for number in (group.bits, group.scale_class))


def _parameter_slots(shape: FunctionShape, coded: CodedParameters, lanes: int) -> tuple[Integers, Integers]:
    classes = np.array([group.scale_class for group in coded.groups])[shape.groups]
    return _slots(_tables(np.zeros_like(classes), classes, lanes), coded.differences, lanes)


def _tables(means: Integers, classes: Integers, lanes: int) -> StepTables:
    whole, fractions = np.divmod(means, FRACTIONS)
    numbers = classes * FRACTIONS + fractions
    return StepTables(in_steps(numbers[None, None], lanes, _SILENT), in_steps(whole[None, None] - REACH, lanes, 0))


def _slots(tables: StepTables, values: Integers, lanes: int) -> tuple[Integers, Integers]:
    return slots_of(laplace_tables(), tables, in_steps(values[None, None], lanes, 0))


def _stream(parts: Sequence[tuple[Integers, Integers]]) -> bytes:
    """Write symbols, given first slots and numbers of slots of each part, (T, lanes) each."""
    starts, widths = (np.concatenate(each)[:, None] for each in zip(*parts, strict=True))
    (stream,) = encode(starts, widths, short=True)
    return stream


def bits_of_integers(differences: Integers) -> tuple[int, float]:
    """Return the scale class that stores integers (n,) in the fewest bits, and these bits."""
    symbols = np.where(np.abs(differences) > REACH, ESCAPE, differences + REACH)
    counts = np.bincount(symbols, minlength=ESCAPE + 1)
    bits = laplace_tables().bits @ counts
    best = int(bits.argmin())
    return best, float(bits[best])
