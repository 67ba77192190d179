"""Codes of functions: round trips, damage, and a plain decoder that is written from the specification alone."""

import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from unicorn_codec.errors import InvalidField
from unicorn_codec.format import code_kinds
from unicorn_codec.format.function_table import FunctionSettings, StoredFunctions, parse_functions, serialize_functions
from unicorn_codec.format.limits import MAX_FUNCTION_VALUES
from unicorn_codec.overfitted.function_code import (
    CodedParameters,
    GroupCoding,
    base_of,
    bits_of_integers,
    decode_function,
    encode_function,
    encode_parameters,
)
from unicorn_codec.overfitted.function_shape import FunctionShape, shape_for
from unicorn_codec.overfitted.laplace_tables import DECAYS, laplace_tables
from unicorn_codec.overfitted.value_layout import ValueLayout

SPEC = (Path(__file__).parent.parent / "format_spec" / "uni-1.md").read_text()
SMALL = FunctionShape(2, FunctionSettings(planes=(2, 1, 1), width=3, group=2))
GROUPS = [GroupCoding(7, 14), GroupCoding(5, 12), GroupCoding(6, 16), GroupCoding(9, 20)]


def drawn(shape: FunctionShape, size: tuple[int, int], seed: int) -> tuple[CodedParameters, np.ndarray]:
    """Parameters and values of a function, some of them far from zero."""
    rng = np.random.default_rng(seed)
    differences = np.rint(rng.laplace(0, 3, shape.parameter_count)).astype(np.int64)
    differences[:2] = 32767, -40
    values = np.rint(rng.laplace(0, 2, ValueLayout(*size, shape.settings.planes).count)).astype(np.int64)
    values[:3] = 32767, -32767, 0
    return CodedParameters(GROUPS, differences), values


class Lane:
    """A lane of a short code (UNI-86, UNI-111 to UNI-113); several share the words."""

    def __init__(self, stream: bytes, lanes: int) -> None:
        left_out = 4 * lanes - len(stream) if len(stream) < 4 * lanes else len(stream) % 2
        end = 4 * lanes - left_out
        stream = stream[:end] + bytes(left_out) + stream[end:]
        self.states = list(struct.unpack_from(f"<{lanes}I", stream))
        self.words = [word for (word,) in struct.iter_unpack("<H", stream[4 * lanes :])]
        self.reads = bool(self.words)

    def read(self, lane: int, table: Sequence[int]) -> int:
        state, symbol, first = self.states[lane], 0, 0
        while state % 2**14 >= first + table[symbol]:
            first += table[symbol]
            symbol += 1
        state = table[symbol] * (state // 2**14) + state % 2**14 - first
        self.states[lane] = state * 2**16 + self.words.pop(0) if self.reads and state < 2**16 else state
        return symbol

    def end_turn(self) -> None:
        if self.reads and not self.words:
            self.reads, self.states = False, [state - 2**16 for state in self.states]


def plain_table(q: int, fraction: int) -> list[int]:
    """The frequencies of the text."""
    u = [2**30]
    while len(u) < 300:
        u.append(u[-1] * DECAYS[q] // 2**30)

    def below(e: int) -> int:
        tail = 16320 * u[abs(e)] // 2**31
        return tail if e <= 0 else 16320 - tail

    inner = [1 + below(8 * d + 4 - fraction) - below(8 * d - 4 - fraction) for d in range(-31, 32)]
    return [*inner, 2**14 - sum(inner)]


TABLES = {(q, fraction): plain_table(q, fraction) for q in range(36) for fraction in range(8)}


def read_part(lanes: Lane, count: int, predicted: Sequence[tuple[int, int]]) -> list[int]:
    """Read the values of a part (UNI-170, UNI-172), given mean and scale class of each."""
    found: list[int] = []
    for start in range(0, len(predicted), count):
        step = predicted[start : start + count]
        symbols = [lanes.read(lane, TABLES[q, m % 8]) for lane, (m, q) in enumerate(step)]
        lanes.end_turn()
        raw = dict.fromkeys((lane for lane, symbol in enumerate(symbols) if symbol == 63), 0)
        for _ in range(2 if raw else 0):
            for lane in raw:
                raw[lane] = 256 * raw[lane] + lanes.read(lane, [64] * 256)
            lanes.end_turn()
        for lane, (m, _) in enumerate(step):
            near = symbols[lane] - 31 + m // 8
            found.append(raw[lane] - 65536 * (raw[lane] >= 32768) if lane in raw else near)
    return found


def plain_predict(of: dict[str, np.ndarray], known: Sequence[int], p: int) -> tuple[int, int]:
    """Mean and scale class (UNI-171)."""
    v = [min(max(each, -255), 255) for each in known]
    w = {name.removeprefix("context_"): values.tolist() for name, values in of.items() if name.startswith("context_")}

    def held(value: int) -> int:
        return min(max(value, 0), 2**20 - 1)

    y = [
        held((w["first_bias"][i] + sum(a * b for a, b in zip(v, w["first_weight"][i], strict=True))) // 64)
        for i in range(8)
    ]
    z = [
        held(
            (64 * w["second_bias"][i] + 4096 * y[i] + sum(a * b for a, b in zip(y, w["second_weight"][i], strict=True)))
            // 4096
        )
        for i in range(8)
    ]
    a = [64 * w["out_bias"][p][j] + sum(c * d for c, d in zip(z, w["out_weight"][j], strict=True)) for j in range(2)]
    mean = min(max((8 * a[0] + 131072) // 262144, -262136), 262136)
    return mean, min(max((a[1] + 131072) // 262144, 0), 35)


def plain_decode(shape: FunctionShape, code: bytes, rows: int, columns: int) -> tuple[list[int], list[list[list[int]]]]:
    """Decode a code whose base is the plain function, one value after the other."""
    sizes = [
        (-(-rows // 2**level), -(-columns // 2**level))
        for level, n in enumerate(shape.settings.planes)
        for _ in range(n)
    ]
    planes = [[[0] * width for _ in range(height)] for height, width in sizes]
    count = -(-(shape.parameter_count + sum(height * width for height, width in sizes)) // 4096)
    lanes, groups = Lane(code[8:], count), shape.groups.tolist()
    differences = read_part(lanes, count, [(0, code[2 * group + 1]) for group in groups])
    parameters = [
        base + d * 2 ** (12 - code[2 * group])
        for base, d, group in zip(shape.plain.tolist(), differences, groups, strict=True)
    ]
    of = shape.named(np.array(parameters))
    offsets = [(0, -1), (0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, -1), (-2, 0), (-2, 1)]
    for diagonal in range(columns + 2 * rows):
        places = [
            (p, y, diagonal - 2 * y)
            for p, (height, width) in enumerate(sizes)
            for y in range(height)
            if 0 <= diagonal - 2 * y < width
        ]
        predicted = []
        for p, y, x in places:
            near = [(y + down, x + right) for down, right in offsets]
            known = [planes[p][r][c] if r >= 0 and 0 <= c < sizes[p][1] else 0 for r, c in near]
            predicted.append(plain_predict(of, known, p))
        for (p, y, x), value in zip(places, read_part(lanes, count, predicted), strict=True):
            planes[p][y][x] = value
    assert (lanes.words, set(lanes.states)) == ([], {255})
    return parameters, planes


@pytest.mark.parametrize(("rows", "columns"), [(5, 7), (1, 1), (34, 44)], ids=str)
def test_a_decoder_written_from_the_text_agrees(rows: int, columns: int) -> None:
    """The last size takes two lanes."""
    coded, values = drawn(SMALL, (rows, columns), rows)
    code = encode_function(SMALL, SMALL.plain, coded, (rows, columns), values)
    parameters, planes = plain_decode(SMALL, code, rows, columns)
    assert [value for plane in planes for row in plane for value in row] == values.tolist()
    found = decode_function(SMALL, SMALL.plain, (rows, columns), code)
    assert found.parameters.tolist() == parameters and np.array_equal(found.values, values)


def test_tables_are_those_of_the_text() -> None:
    listed = re.findall(r"^\| (\d+) \| (\d{9,}) \| (\d+) \| (\d+) \| (\d+) \|$", SPEC, re.MULTILINE)
    assert [int(number) for row in listed for number in row[1:]] == list(DECAYS)
    assert all(laplace_tables().frequencies[q, f].tolist() == table for (q, f), table in TABLES.items())
    assert laplace_tables().frequencies.min() >= 1


def test_parameters_stand_in_the_order_of_the_text() -> None:
    section = SPEC.split("#### Planes and parameters")[1].split("####")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (\d) \|", section, re.MULTILINE)
    sides = {"L - 1": 2, "P": 4, "W": 3, "C": 2, "G": 2}
    listed = [
        (name, tuple(sides[side] if side in sides else int(side) for side in shape.split(", ")), int(group))
        for name, shape, group in rows
    ]
    assert listed == [(one.name, one.shape, one.group) for one in SMALL.parameters]


@pytest.mark.parametrize("lanes", [1, 8], ids=["few lanes", "many lanes"])
def test_functions_come_back(lanes: int) -> None:
    size = (9, 12) if lanes == 1 else (128, 160)
    coded, values = drawn(SMALL, size, lanes)
    base = base_of(SMALL, encode_parameters(SMALL, CodedParameters(GROUPS, coded.differences // 2)))
    code = encode_function(SMALL, base, coded, size, values)
    found = decode_function(SMALL, base, size, code)
    assert np.array_equal(found.values, values) and np.array_equal(found.parameters, coded.values(SMALL, base))


def test_damage_is_refused() -> None:
    coded, values = drawn(SMALL, (9, 12), 5)
    code = bytearray(encode_function(SMALL, SMALL.plain, coded, (9, 12), values))
    refused = 0
    for place in range(0, len(code), 7):
        code[place] ^= 64
        try:
            found = decode_function(SMALL, SMALL.plain, (9, 12), bytes(code))
            assert not np.array_equal(found.values, values) or not np.array_equal(
                found.parameters, coded.values(SMALL, SMALL.plain)
            )
        except InvalidField:
            refused += 1
        code[place] ^= 64
    assert refused > len(code) // 7 * 0.9


def test_a_function_of_too_many_values_is_refused_before_memory_is_taken() -> None:
    side = int((MAX_FUNCTION_VALUES / 2) ** 0.5)
    with pytest.raises(InvalidField, match=f"allowed are {MAX_FUNCTION_VALUES}"):
        decode_function(SMALL, SMALL.plain, (side, side), bytes(20))


def test_a_parameter_beyond_the_limit_is_refused() -> None:
    coarse = [GroupCoding(0, 30)] * 4
    differences = np.zeros(SMALL.parameter_count, np.int64)
    differences[0] = 2049
    with pytest.raises(InvalidField, match="parameter"):
        base_of(SMALL, encode_parameters(SMALL, CodedParameters(coarse, differences)))


def test_the_cheapest_scale_class_is_chosen() -> None:
    rng = np.random.default_rng(3)
    narrow, wide = (np.rint(rng.laplace(0, scale, 500)).astype(np.int64) for scale in (0.3, 8.0))
    assert bits_of_integers(narrow)[0] < bits_of_integers(wide)[0]
    assert bits_of_integers(narrow)[1] < bits_of_integers(wide)[1] < 500 * 6
    far = bits_of_integers(np.array([1000]))[1]
    assert 16 < far < 32


def test_settings_come_back_and_fit_the_channels() -> None:
    settings = shape_for(64).settings
    stored = StoredFunctions(settings, b"common")
    assert parse_functions(serialize_functions(stored), 64) == stored
    assert shape_for(4).settings.planes == (1,) * 7, "as in CLRIC"
    assert settings.planes == (16, 4, 1, 1, 1, 1, 1)
    with pytest.raises(InvalidField, match="do not divide 3 channels"):
        parse_functions(serialize_functions(StoredFunctions(shape_for(4).settings)), 3)


def test_marks_come_off_again() -> None:
    code = code_kinds.mark_overfitted(b"function", 7)
    assert code_kinds.is_overfitted(code) and not code_kinds.is_avif(code) and not code_kinds.is_in_sequence(code)
    assert code_kinds.unmark_overfitted(code) == (b"function", 7)
    assert code_kinds.is_overfitted(code_kinds.mark_gray(code)) and code_kinds.is_avif(b"\xff\0avif")
    for step in (1.0, 1.5, 4.0, 24.0):
        assert code_kinds.step_of_noise(code_kinds.noise_of_step(step)) == pytest.approx(step, rel=0.05)
    with pytest.raises(InvalidField):
        code_kinds.unmark_overfitted(b"\xff\0avif")
