"""Rows of integers."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vector_makers.entropy_coder import Step, Table, rans_encode
from vector_makers.small_floats import float32_bits

DECAYS = (
    (189236, 386272, 703845, 1165739),
    (1781813, 2545695, 3436358, 4422426),
    (5467528, 6535264, 7592926, 8613710),
    (9577572, 10471081, 11286636, 12021401),
    (12676159, 13254267, 13760753, 14201607),
)


def integer_table(decay: int) -> Table:
    """The 50 frequencies that belong to one number of the table."""
    powers = [decay]
    for _ in range(24):
        powers.append(powers[-1] * (decay * decay >> 24) >> 24)
    tails = [16334 * power // ((1 << 24) + power) for power in powers]
    side = [1 + tails[i] - tails[i + 1] for i in range(24)]
    return (*side[::-1], 16335 - 2 * tails[0], *side, 1 + 2 * tails[24])


INTEGER_TABLES: list[Table] = [integer_table(decay) for row in DECAYS for decay in row]
PLAIN_TABLES: list[Table] = [(1 << (14 - bits),) * (1 << bits) for bits in range(13)]
ALL_TABLES = INTEGER_TABLES + PLAIN_TABLES


def integer_symbols(value: int, of_class: int) -> list[tuple[int, int] | None]:
    """Table and symbol of a value, of its two bytes if it is far, and of its low bits if there are any."""
    bits = of_class // 4 - 4 if of_class >= 20 else 0
    number = of_class if of_class < 20 else 16 + of_class % 4
    shifted = value + (1 << bits) // 2
    if abs(shifted >> bits) > 24:
        return [(number, 49), (28, value >> 8 & 255), (28, value & 255), None]
    return [(number, (shifted >> bits) + 24), None, None, (20 + bits, shifted % (1 << bits)) if bits else None]


def integer_part(coded: Sequence[tuple[int, int]], lanes: int) -> list[Step]:
    """Steps of a part's values, each with its class."""
    steps: list[Step] = []
    for first in range(0, len(coded), lanes):
        columns = [integer_symbols(*each) for each in coded[first : first + lanes]]
        columns += [[None] * 4] * (lanes - len(columns))
        steps += [list(step) for step in zip(*columns, strict=True) if any(step)]
    return steps


def integer_stream(
    rows: Sequence[Sequence[int]],
    steps: Sequence[int],
    classes: Sequence[int],
    of_steps: int = 12,
    of_classes: int = 9,
) -> bytes:
    """All that follows the count in a WGHT of format 1."""
    lanes = -(-sum(map(len, rows)) // 4096)
    changes = [
        [(b - a, of_class) for a, b in zip([first, *numbers], numbers, strict=False)]
        for first, numbers, of_class in ((160, steps, of_steps), (17, classes, of_classes))
    ]
    held = [min(max(of_class, 0), 67) for of_class in classes]  # a class that does not exist has no table
    values = [(value, of_class) for row, of_class in zip(rows, held, strict=True) for value in row]
    parts = [step for part in (*changes, values) for step in integer_part(part, lanes)]
    return bytes([of_steps, of_classes]) + rans_encode(ALL_TABLES, parts, lanes)


def step_size(number: int) -> Fraction:
    """A row's step."""
    significand = (256, 279, 304, 332, 362, 395, 431, 470)[number % 8]
    return Fraction(significand, 256) * Fraction(2) ** (number // 8 - 24)


def integer_weight_values() -> dict[str, Any]:
    """The tables of integer weights and the steps."""
    return {
        "frequencies": INTEGER_TABLES,
        "steps": [float32_bits(float(step_size(number))) for number in range(256)],
    }
