"""Codes that are overfitted functions: their bytes, their integers, and the latents that they give in float64."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vector_makers.archive import Picture
from vector_makers.entropy_coder import Step, Table, rans_encode
from vector_makers.generator import words
from vector_makers.sample_archives import Invalid, Valid, expected, usual

C, GROUP, WIDTH, LEVELS = 2, 2, 2, (2, 1)
PLANES = sum(LEVELS)
ROWS, COLUMNS = 3, 5
UNIT = 1 << 12
NEIGHBOURS = ((0, -1), (0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, -1), (-2, 0), (-2, 1))
BICUBIC = (-9, -27, 67, 225, 225, 67, -27, -9)
DECAYS = (
    145315154, 199759078, 261044606, 326914198, 395007542, 463130302, 529428476, 592470630, 651257337,
    705182512, 753969162, 797596699, 836230973, 870163178, 899760092, 925425813, 947573834, 966607779,
    982908970, 996829173, 1008687096, 1018767490, 1027321989, 1034571010, 1040706261, 1045893524, 1050275481,
    1053974460, 1057095000, 1059726201, 1061943836, 1063812229, 1065385899, 1066710993, 1067826536, 1068765495,
)  # fmt: skip
RAW: Table = (64,) * 256

Plane = list[list[float]]


@dataclass(frozen=True)
class Parameter:
    """Shape and group of a tensor of parameters, and its value in the plain function."""

    shape: tuple[int, ...]
    group: int
    plain: float = 0


PARAMETERS = {
    "kernels": Parameter((len(LEVELS) - 1, 8), 0),
    "gains": Parameter((PLANES,), 1, 1),
    "hidden_weight": Parameter((WIDTH, PLANES), 2),
    "hidden_bias": Parameter((WIDTH,), 1),
    "latent_weight": Parameter((C, WIDTH), 2),
    "latent_bias": Parameter((C,), 1),
    "first_weight": Parameter((C, GROUP, 3, 3), 2),
    "first_bias": Parameter((C,), 1),
    "second_weight": Parameter((C, GROUP, 3, 3), 2),
    "second_bias": Parameter((C,), 1),
    "context_first_weight": Parameter((8, 8), 3),
    "context_first_bias": Parameter((8,), 3),
    "context_second_weight": Parameter((8, 8), 3),
    "context_second_bias": Parameter((8,), 3),
    "context_out_weight": Parameter((2, 8), 3),
    "context_out_bias": Parameter((PLANES, 2), 3),
}


def plain_function() -> dict[str, list[int]]:
    """The parameters of the plain function, in 2^-12."""
    values = {name: [round(each.plain * UNIT)] * math.prod(each.shape) for name, each in PARAMETERS.items()}
    values["kernels"] = [tap * 16 for tap in BICUBIC] * (len(LEVELS) - 1)
    values["context_out_bias"] = [0, 12 * UNIT] * PLANES
    return values


def table_of(q: int, fraction: int) -> Table:
    """Slots of the 64 symbols."""
    u = [1 << 30]
    for _ in range(8 * 33):
        u.append(u[-1] * DECAYS[q] >> 30)

    def below(edge: int) -> int:
        tail = 16320 * u[abs(edge)] >> 31
        return tail if edge <= 0 else 16320 - tail

    edges = [below(8 * d - 4 - fraction) for d in range(-31, 33)]
    return (*(1 + edges[n + 1] - edges[n] for n in range(63)), 1 + edges[0] + 16320 - edges[63])


TABLES = [table_of(q, fraction) for q in range(len(DECAYS)) for fraction in range(8)] + [RAW]


def clamp(value: int, lowest: int, highest: int) -> int:
    """A value held between two others."""
    return min(max(value, lowest), highest)


def drawn_differences(stream: int, reach: int) -> dict[str, list[int]]:
    """Integers of the parameters."""
    numbers = iter(words(88, stream, sum(math.prod(each.shape) for each in PARAMETERS.values())))
    return {
        name: [next(numbers) % (2 * reach + 1) - reach for _ in range(math.prod(each.shape))]
        for name, each in PARAMETERS.items()
    }


def with_differences(
    base: dict[str, list[int]], differences: dict[str, list[int]], groups: Sequence[tuple[int, int]]
) -> dict[str, list[int]]:
    """The parameters of a code, in 2^-12."""
    return {
        name: [
            value + (d << 12 - groups[PARAMETERS[name].group][0])
            for value, d in zip(base[name], differences[name], strict=True)
        ]
        for name in PARAMETERS
    }


def predict(of: dict[str, list[int]], plane: Sequence[Sequence[int]], p: int, y: int, x: int) -> tuple[int, int]:
    """Mean in eighths and scale class of a value."""
    known = []
    for down, right in NEIGHBOURS:
        row, column = y + down, x + right
        inside = row >= 0 and 0 <= column < len(plane[0])
        known.append(clamp(plane[row][column], -255, 255) if inside else 0)
    first = [
        clamp(
            (of["context_first_bias"][i] + sum(v * of["context_first_weight"][8 * i + k] for k, v in enumerate(known)))
            // 64,
            0,
            (1 << 20) - 1,
        )
        for i in range(8)
    ]
    second = []
    for i in range(8):
        total = 64 * of["context_second_bias"][i] + 4096 * first[i]
        total += sum(v * of["context_second_weight"][8 * i + k] for k, v in enumerate(first))
        second.append(clamp(total // 4096, 0, (1 << 20) - 1))
    a, b = (
        64 * of["context_out_bias"][2 * p + j]
        + sum(z * of["context_out_weight"][8 * j + i] for i, z in enumerate(second))
        for j in range(2)
    )
    return clamp((8 * a + 131072) // 262144, -262136, 262136), clamp((b + 131072) // 262144, 0, 35)


def turns_of(value: int, mean: int, q: int) -> list[Step]:
    """The turns of one value of a stream with one lane."""
    table, symbol = 8 * q + mean % 8, value - mean // 8 + 31
    if 0 <= symbol < 63:
        return [[(table, symbol)]]
    raw = len(TABLES) - 1
    return [[(table, 63)], [(raw, value >> 8 & 255)], [(raw, value & 255)]]


def parameter_turns(differences: dict[str, list[int]], groups: Sequence[tuple[int, int]]) -> list[Step]:
    """The turns of the parameters."""
    return [
        turn
        for name, each in PARAMETERS.items()
        for d in differences[name]
        for turn in turns_of(d, 0, groups[each.group][1])
    ]


def stream_of(
    base: dict[str, list[int]],
    differences: dict[str, list[int]],
    groups: Sequence[tuple[int, int]],
    planes: Sequence[Sequence[Sequence[int]]],
) -> bytes:
    """Groups and stream of a code."""
    of = with_differences(base, differences, groups)
    steps = parameter_turns(differences, groups)
    for diagonal in range(COLUMNS + 2 * ROWS):
        for p, plane in enumerate(planes):
            for y in range(len(plane)):
                x = diagonal - 2 * y
                if 0 <= x < len(plane[0]):
                    steps += turns_of(plane[y][x], *predict(of, plane, p, y, x))
    return head(groups) + rans_encode(TABLES, steps, 1, short=True)


def head(groups: Sequence[tuple[int, int]]) -> bytes:
    """The groups of a code."""
    return bytes(number for group in groups for number in group)


def doubled(line: Sequence[float], k: Sequence[float]) -> list[float]:
    """A line of twice the length."""

    def at(i: int) -> float:
        return line[clamp(i, 0, len(line) - 1)]

    found = []
    for i in range(len(line)):
        found.append(k[7] * at(i - 2) + k[5] * at(i - 1) + k[3] * at(i) + k[1] * at(i + 1))
        found.append(k[6] * at(i - 1) + k[4] * at(i) + k[2] * at(i + 1) + k[0] * at(i + 2))
    return found


def latents_of(of: dict[str, list[int]], planes: Sequence[Sequence[Sequence[int]]]) -> list[Plane]:
    """The latents of a function, (C, rows, columns)."""
    w = {name: [value / UNIT for value in values] for name, values in of.items()}
    grids: list[Plane] = [[[float(value) for value in row] for row in plane] for plane in planes]
    wide = [[list(each) for each in zip(*[doubled(c, w["kernels"]) for c in zip(*rows, strict=True)], strict=True)]
            for rows in ([doubled(row, w["kernels"]) for row in plane] for plane in grids[LEVELS[0]:])]  # fmt: skip
    grids = grids[: LEVELS[0]] + [[row[:COLUMNS] for row in plane[:ROWS]] for plane in wide]
    sums: list[Plane] = [[[0.0] * COLUMNS for _ in range(ROWS)] for _ in range(C)]
    for y in range(ROWS):
        for x in range(COLUMNS):
            e = [w["gains"][p] * grids[p][y][x] for p in range(PLANES)]
            hidden = [
                max(0.0, w["hidden_bias"][i] + sum(w["hidden_weight"][i * PLANES + p] * e[p] for p in range(PLANES)))
                for i in range(WIDTH)
            ]
            for c in range(C):
                total = sum(w["latent_weight"][c * WIDTH + i] * hidden[i] for i in range(WIDTH))
                sums[c][y][x] = total + w["latent_bias"][c] + e[c]
    inner = [[[max(0.0, value) for value in row] for row in plane] for plane in layer(w, "first", sums)]
    outer = layer(w, "second", inner)
    return [
        [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(*pair, strict=True)]
        for pair in zip(sums, outer, strict=True)
    ]


def layer(w: dict[str, list[float]], name: str, planes: Sequence[Plane]) -> list[Plane]:
    """A correlation of 3x3 within groups of channels."""
    made = []
    for c in range(C):
        plane = [[w[f"{name}_bias"][c]] * COLUMNS for _ in range(ROWS)]
        for j in range(GROUP):
            source, start = planes[c // GROUP * GROUP + j], (c * GROUP + j) * 9
            for y in range(ROWS):
                for x in range(COLUMNS):
                    for tap in range(9):
                        row, column = y + tap // 3 - 1, x + tap % 3 - 1
                        if 0 <= row < ROWS and 0 <= column < COLUMNS:
                            plane[y][x] += w[f"{name}_weight"][start + tap] * source[row][column]
        made.append(plane)
    return made


def drawn_planes(stream: int, reach: int) -> list[list[list[int]]]:
    """Integers of all planes."""
    sizes = [(-(-ROWS >> level), -(-COLUMNS >> level)) for level, count in enumerate(LEVELS) for _ in range(count)]
    numbers = iter(words(89, stream, sum(rows * columns for rows, columns in sizes)))
    return [
        [[next(numbers) % (2 * reach + 1) - reach for _ in range(columns)] for _ in range(rows)]
        for rows, columns in sizes
    ]


GROUPS = ((7, 14), (5, 12), (6, 16), (9, 20))
WEIGHTS = bytes([2, len(LEVELS), *LEVELS, WIDTH, GROUP])
COMMON_GROUPS = ((8, 12), (8, 20), (8, 20), (8, 24))


def common_function() -> tuple[dict[str, list[int]], bytes]:
    """The parameters of a common function, and its bytes."""
    differences = drawn_differences(1, 30)
    data = head(COMMON_GROUPS) + rans_encode(TABLES, parameter_turns(differences, COMMON_GROUPS), 1, short=True)
    return with_differences(plain_function(), differences, COMMON_GROUPS), data


def function_values() -> dict[str, Any]:
    """Codes of functions with what they decode to, and codes that are refused."""
    plain, (common, common_data) = plain_function(), common_function()
    far = drawn_planes(3, 2)
    far[0][1][2], far[1][0][0], far[2][0][1] = 32767, -32767, 300
    cases = [
        case("plain", plain, b"", drawn_differences(2, 3), drawn_planes(1, 2)),
        case("common", common, common_data, drawn_differences(3, 2), drawn_planes(2, 6)),
        case("far-values", plain, b"", drawn_differences(4, 40), far),
    ]
    good = bytes.fromhex(cases[0]["hex"])
    huge = drawn_differences(5, 0) | {"gains": [32767, 0, 0]}
    coarse = ((7, 14), (0, 30), (6, 16), (9, 20))
    too_large = head(coarse) + rans_encode(TABLES, parameter_turns(huge, coarse), 1, short=True)
    beyond = drawn_planes(1, 2)
    beyond[0][0][0] = -32768
    invalid = [
        ("cut-in-its-groups", "UNI-166", good[:10]),
        ("step-number-80", "UNI-166", good[:2] + b"\x50" + good[3:]),
        ("avif", "UNI-166", b"\xff\0" + good[2:]),
        ("of-latents", "UNI-166", b"\x01" + good[1:]),
        ("bits-13", "UNI-168", good[:3] + b"\x0d" + good[4:]),
        ("scale-class-36", "UNI-168", good[:4] + b"\x24" + good[5:]),
        ("parameter-beyond", "UNI-169", b"\xff\4\0" + too_large),
        ("stream-cut", "UNI-173", good[:-2]),
        ("stream-too-long", "UNI-173", good + b"\0\0"),
        ("value-beyond", "UNI-173", b"\xff\4\0" + stream_of(plain, drawn_differences(2, 3), GROUPS, beyond)),
    ]
    return {
        "settings": WEIGHTS.hex(),
        "channels": C,
        "rows": ROWS,
        "columns": COLUMNS,
        "tolerance": 1e-4,
        "frequencies": [list(table) for table in TABLES[:-1:37]],
        "cases": cases,
        "invalid": [{"name": name, "clause": clause, "hex": data.hex()} for name, clause, data in invalid],
        "invalid_common": (WEIGHTS + common_data[:-2]).hex(),
    }


def case(
    name: str,
    base: dict[str, list[int]],
    common: bytes,
    differences: dict[str, list[int]],
    planes: list[list[list[int]]],
) -> dict[str, Any]:
    """A code with what it decodes to."""
    of = with_differences(base, differences, GROUPS)
    return {
        "name": name,
        "common": common.hex(),
        "hex": (b"\xff\4\x0b" + stream_of(base, differences, GROUPS, planes)).hex(),
        "parameters": " ".join(str(value) for values in of.values() for value in values),
        "values": [[" ".join(map(str, row)) for row in plane] for plane in planes],
        "latents": [[" ".join(f"{v:.9g}" for v in row) for row in plane] for plane in latents_of(of, planes)],
    }


FUNCTIONS = {"kind": b"\2", "latent_channels": b"\2", "downsampling": b"\x08"}


def files_of_functions() -> list[Valid]:
    """Files whose pictures are functions."""
    common, data = common_function()
    code = b"\xff\4\0" + stream_of(common, drawn_differences(3, 2), GROUPS, drawn_planes(2, 6))
    pictures = [Picture(0, code, (40, 24), codec=9), Picture(1, b"\x7f" + code, (40, 24), codec=9)]
    values = {"functions": {"planes": list(LEVELS), "width": WIDTH, "group": GROUP, "common": data.hex()}}
    return [
        (
            "functions",
            "UNI-165",
            usual(pictures, weights=WEIGHTS + data, decoder=FUNCTIONS),
            expected(pictures, **values),
        )
    ]


def errors_of_functions() -> list[Invalid]:
    """Files whose functions have settings that are not allowed."""
    cases = [
        ("functions-of-no-levels", b"\2\0\2\2", "UNI-165"),
        ("functions-of-nine-levels", b"\2\x09" + b"\1" * 9 + b"\2\2", "UNI-165"),
        ("functions-of-a-level-without-planes", b"\2\2\1\0\2\2", "UNI-165"),
        ("functions-of-too-many-planes", b"\2\2\xff\1\2\2", "UNI-165"),
        ("functions-without-a-width", b"\2\1\1\0\2", "UNI-165"),
        ("functions-of-a-group-that-does-not-divide", b"\2\1\1\2\3", "UNI-165"),
        ("functions-cut", b"\2\2\1\1\2", "UNI-16"),
        ("functions-of-kind-1", b"\1" + WEIGHTS[1:], "UNI-118"),
    ]
    return [
        (name, clause, "InvalidField", usual([Picture(0, b"\xff\4\0", codec=9)], weights=data, decoder=FUNCTIONS))
        for name, data, clause in cases
    ]
