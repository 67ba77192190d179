"""Codes of latents for a small context model, and the values that they decode to."""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from vector_makers.entropy_coder import Step, Table, rans_encode
from vector_makers.generator import words

C, HIDDEN, CLASSES, FRACTIONS, REACH, LEVELS = 3, 2, 48, 2, 3, 16
ESCAPE = 2 * REACH + 1
RAW: Table = (64,) * 256
PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))

Plane = list[list[int]]  # rows, columns
Levels = int | Plane  # of all values, or of each cell
Planes = list[Plane]
Place = tuple[int, int]


@dataclass
class Tensor:
    """Integers in row-major order."""

    shape: tuple[int, ...]
    values: list[int]

    def at(self, *place: int) -> int:
        """Return one of them."""
        number = 0
        for side, index in zip(self.shape, place, strict=True):
            number = number * side + index
        return self.values[number]


def drawn(stream: int, reach: int, *shape: int) -> Tensor:
    """Integers within +-reach."""
    return Tensor(shape, [word % (2 * reach + 1) - reach for word in words(86, stream, math.prod(shape))])


def drawn_frequencies() -> Tensor:
    """Tables in which every third symbol, but the last one, has no slots."""
    values = []
    for table in range(CLASSES * FRACTIONS):
        parts = [0 if word % 3 == 0 else word % 1000 for word in words(87, table, ESCAPE + 1)]
        slots = [part * 16000 // (sum(parts) + 1) for part in parts]
        slots[ESCAPE] += (1 << 14) - sum(slots)
        values += slots
    return Tensor((CLASSES, FRACTIONS, ESCAPE + 1), values)


def drawn_model() -> dict[str, Tensor]:
    """A context model whose means and scale classes are of all kinds."""
    same = drawn(2, 200, 4, C, 18, HIDDEN)
    for p, c, f, i in product(range(4), range(C), (4, 13), range(HIDDEN)):  # nothing is known of the value itself
        same.values[((p * C + c) * 18 + f) * HIDDEN + i] = 0
    return {
        "magnitudes": Tensor((256,), [round(math.asinh(n) * 64) for n in range(256)]),
        "earlier": drawn(1, 200, C, 18, C, HIDDEN),
        "same": same,
        "bias": drawn(3, 9000, LEVELS, 4, C, HIDDEN),
        "linear": drawn(4, 60, 4, C, 9),
        "mean": drawn(5, 200, C, HIDDEN),
        "mean_bias": drawn(6, 90_000, LEVELS, 4, C),
        "scale": drawn(7, 2000, C, HIDDEN),
        "scale_bias": drawn(8, 400_000, LEVELS, 4, C),
        "frequencies": drawn_frequencies(),
    }


MODEL = drawn_model()
TABLES: list[Table] = [
    tuple(MODEL["frequencies"].values[start : start + ESCAPE + 1])
    for start in range(0, CLASSES * FRACTIONS * (ESCAPE + 1), ESCAPE + 1)
] + [RAW]


def clamp(value: int, lowest: int, highest: int) -> int:
    """A value held between two others."""
    return min(max(value, lowest), highest)


def predict(level: int, p: int, c: int, y: int, x: int, known: Planes) -> tuple[int, int]:
    """Mean in 1 / F and scale class of a value."""

    def neighbours(channel: int) -> list[int]:
        plane = known[channel]
        places = [(y + k // 3 - 1, x + k % 3 - 1) for k in range(9)]
        return [plane[r][s] if 0 <= r < len(plane) and 0 <= s < len(plane[0]) else 0 for r, s in places]

    def features(channel: int) -> list[int]:
        near = neighbours(channel)
        sizes = [MODEL["magnitudes"].at(min(abs(v), 255)) for v in near]
        return [a * ((v > 0) - (v < 0)) for a, v in zip(sizes, near, strict=True)] + sizes

    every, hidden = [features(channel) for channel in range(c + 1)], []
    for i in range(HIDDEN):
        total = MODEL["bias"].at(level, p, c, i)
        total += sum(every[j][f] * MODEL["earlier"].at(j, f, c, i) for j in range(c) for f in range(18))
        total += sum(every[c][f] * MODEL["same"].at(p, c, f, i) for f in range(18))
        hidden.append(clamp(total // 256, 0, 131071))
    a = MODEL["mean_bias"].at(level, p, c) + sum(z * MODEL["mean"].at(c, i) for i, z in enumerate(hidden))
    a += 64 * sum(clamp(v, -255, 255) * MODEL["linear"].at(p, c, k) for k, v in enumerate(neighbours(c)))
    b = MODEL["scale_bias"].at(level, p, c) + sum(z * MODEL["scale"].at(c, i) for i, z in enumerate(hidden))
    return (FRACTIONS * a + 8192) // 16384, clamp((b + 8192) // 16384, 0, CLASSES - 1)


def turns(values: Planes, count: int, level: Levels, lanes: int) -> Iterator[Step]:
    """Tables and symbols of what the lanes read together."""
    height, width = len(values[0]), len(values[0][0])
    known: Planes = [[[0] * width for _ in range(height)] for _ in range(C)]
    for c in range(count):
        for p, (row, column) in enumerate(PASSES):
            places = [(y, x) for y in range(row, height, 2) for x in range(column, width, 2)]
            for start in range(0, len(places), lanes):
                yield from turn(values[c], places[start : start + lanes], (level, p, c), known, lanes)
            for y, x in places:  # a pass does not depend on its own values
                known[c][y][x] = values[c][y][x]


def turn(
    plane: list[list[int]], places: Sequence[Place], of: tuple[Levels, int, int], known: Planes, lanes: int
) -> Iterator[Step]:
    """The turns of one step: symbols, and two bytes of the values that have none of their own."""
    symbols: Step = [None] * lanes
    high: Step = [None] * lanes
    low: Step = [None] * lanes
    for lane, (y, x) in enumerate(places):
        level, p, c = of
        mean, scale = predict(level if isinstance(level, int) else level[y][x], p, c, y, x, known)
        table = scale * FRACTIONS + mean % FRACTIONS
        symbol, value = plane[y][x] - mean // FRACTIONS + REACH, plane[y][x]
        if not 0 <= symbol < ESCAPE or TABLES[table][symbol] == 0:
            symbol, raw = ESCAPE, len(TABLES) - 1
            high[lane], low[lane] = (raw, value >> 8 & 255), (raw, value & 255)
        symbols[lane] = table, symbol
    yield from (step for step in (symbols, high, low) if any(step))


def code_of(values: Planes, level: int, *, short: bool, half: bool = False) -> bytes:
    """The code of a picture's values."""
    count = max((c + 1 for c in range(C) if any(map(any, values[c]))), default=0)
    lanes = lanes_of(values)
    level = max(0, level - 4) if half else level
    steps = list(turns(values, count, level, lanes))
    first = bytes([count + 128 * half])
    return first + rans_encode(TABLES, steps, lanes, short=short) if count else first


def lanes_of(values: Planes) -> int:
    """Lanes of a picture's code."""
    return -(-len(values[0]) * len(values[0][0]) // 256)


def planes(stream: int, height: int, width: int, largest: Sequence[int]) -> Planes:
    """Values within +-largest, of each channel."""
    return [
        [drawn(stream * 1000 + 100 * c + y, most, width).values for y in range(height)]
        for c, most in enumerate(largest)
    ]


def likely(height: int, width: int, level: int) -> Planes:
    """Values of which each is as likely as can be."""
    values: Planes = [[[0] * width for _ in range(height)] for _ in range(C)]
    for c, (row, column) in product(range(C), PASSES):
        found = []
        for y, x in product(range(row, height, 2), range(column, width, 2)):
            mean, scale = predict(level, PASSES.index((row, column)), c, y, x, values)
            table = TABLES[scale * FRACTIONS + mean % FRACTIONS][:ESCAPE]
            found.append((y, x, mean // FRACTIONS - REACH + table.index(max(table))))
        for y, x, value in found:
            values[c][y][x] = value
    return values


def valid_codes() -> list[dict[str, Any]]:
    """Codes of every kind with their values: C channels, each of its rows in a text."""
    zeros, far = planes(0, 2, 3, (0, 0, 0)), planes(1, 3, 5, (9, 40, 32767))
    far[1][0][0], far[1][0][1], far[1][1][0] = 32767, -32767, 300
    wide, single = planes(2, 17, 16, (2, 5, 40)), planes(3, 1, 1, (1, 1, 1))
    leading = planes(4, 4, 4, (2, 0, 0))
    small = planes(5, 4, 6, (1, 2, 3))
    listed = [("empty", zeros, 0), ("escapes", far, 5), ("two-lanes", wide, 15), ("one-position", single, 9)]
    listed += [("channels-of-zeros", leading, 3), ("usual", small, 7), ("likely", likely(1, 2, 11), 11)]
    return [
        {
            "name": "-".join(["short"] * short + ["half-size"] * half + [name]),
            "level": level,
            "short": short,
            "hex": code_of(values, level, short=short, half=half).hex(),
            "values": [[" ".join(map(str, row)) for row in plane] for plane in values],
        }
        for short, half in product((False, True), (False, True))
        for name, values, level in listed
    ]


def invalid_codes() -> list[dict[str, Any]]:
    """Codes that a decoder refuses, of a picture of 4 by 6 values."""
    small = planes(5, 4, 6, (1, 2, 3))
    long, short = (code_of(small, 7, short=kind) for kind in (False, True))
    beyond = [[list(row) for row in plane] for plane in small]
    beyond[1][2][3] = -32768
    states = struct.unpack_from("<I", long, 1)[0]
    low = long[:1] + struct.pack("<I", states & 0xFFFF) + long[5:]
    other = long[:1] + struct.pack("<I", states ^ 1) + long[5:]
    listed = [
        ("channels-over-c", "UNI-85", False, bytes([C + 1]) + long[1:]),
        ("nothing-with-more", "UNI-88", False, b"\0\0"),
        ("without-states", "UNI-88", False, long[:4]),
        ("of-odd-bytes", "UNI-88", False, long + b"\0"),
        ("of-a-low-state", "UNI-88", False, low),
        ("of-another-state", "UNI-88", False, other),
        ("cut", "UNI-88", False, long[:-2]),
        ("with-a-word-more", "UNI-88", False, long + b"\0\0"),
        ("value-beyond", "UNI-88", False, code_of(beyond, 7, short=False)),
        ("short-cut", "UNI-113", True, short[:-2]),
        ("short-with-a-word-more", "UNI-113", True, short + b"\0\0"),
        ("short-of-another-state", "UNI-113", True, short[:1] + bytes([short[1] ^ 1]) + short[2:]),
        ("short-value-beyond", "UNI-113", True, code_of(beyond, 7, short=True)),
        ("short-of-a-low-state", "UNI-113", True, short[:3] + bytes(2) + short[5:]),
        ("short-nothing-with-more", "UNI-113", True, b"\0\0"),
    ]
    return [
        {"name": name, "clause": clause, "error": "InvalidField", "level": 7, "short": kind, "rows": 4, "columns": 6}
        | {"hex": code.hex()}
        for name, clause, kind, code in listed
    ]


def code_values() -> dict[str, Any]:
    """The model, and codes for it."""
    tensors = {
        name: {"shape": tensor.shape, "values": " ".join(map(str, tensor.values))} for name, tensor in MODEL.items()
    }
    return {"model": tensors, "codes": valid_codes() + invalid_codes()}
