"""Weights as small floats, by exact fractions."""

import struct
from fractions import Fraction
from typing import Any

FLOAT32_MAX = 2.0**128 - 2.0**104


def magnitude(code: int, mantissa_bits: int, bias: int) -> Fraction:
    """What a code without its sign stands for."""
    field, fraction = code >> mantissa_bits, Fraction(code & ((1 << mantissa_bits) - 1), 1 << mantissa_bits)
    return (1 + fraction) * Fraction(2) ** (field - bias) if field else fraction * Fraction(2) ** (1 - bias)


def largest_code(exponent_bits: int, mantissa_bits: int, bias: int) -> int:
    """The last code below 2^128."""
    code = (1 << (exponent_bits + mantissa_bits)) - 1
    while magnitude(code, mantissa_bits, bias) >= Fraction(2) ** 128:
        code -= 1 << mantissa_bits
    return code


def nearest_code(value: Fraction, exponent_bits: int, mantissa_bits: int, bias: int) -> int:
    """The code without its sign nearest to a magnitude, of two equally near ones the even."""
    below, above = 0, largest_code(exponent_bits, mantissa_bits, bias)
    if value >= magnitude(above, mantissa_bits, bias):
        return above
    while above - below > 1:
        middle = (below + above) // 2
        if magnitude(middle, mantissa_bits, bias) <= value:
            below = middle
        else:
            above = middle
    left = value - magnitude(below, mantissa_bits, bias)
    right = magnitude(above, mantissa_bits, bias) - value
    return below if left < right or (left == right and below % 2 == 0) else above


def float32_bits(value: float) -> str:
    """Hexadecimal digits of a float32, most significant first."""
    return struct.pack(">f", value).hex()


def weight_format_vectors(exponent_bits: int, mantissa_bits: int, bias: int) -> dict[str, Any]:
    """Codes at every boundary of a format, and float32 values at, between and beyond them."""
    sign = 1 << (exponent_bits + mantissa_bits)
    one = 1 << mantissa_bits
    largest = largest_code(exponent_bits, mantissa_bits, bias)
    codes = sorted({0, 1, 2, one - 1, one, one + 1, 2 * one - 1, 2 * one, largest - one, largest - 1, largest})
    exact = [(code, magnitude(code, mantissa_bits, bias)) for code in codes]
    values = {float(value) for _, value in exact}
    for code, value in exact[:-1]:
        gap = magnitude(code + 1, mantissa_bits, bias) - value
        values |= {float(value + gap * Fraction(n, 4)) for n in (1, 2, 3)}
    values |= {FLOAT32_MAX, 1e-45, 1.0, 0.1}
    # Only what a float32 holds can be asked for.
    asked = sorted(v for v in values if v <= FLOAT32_MAX and struct.unpack("<f", struct.pack("<f", v))[0] == v)
    as_code = {v: nearest_code(Fraction(v), exponent_bits, mantissa_bits, bias) for v in asked}
    return {
        "exponent_bits": exponent_bits,
        "mantissa_bits": mantissa_bits,
        "bias": bias,
        "largest_code": largest,
        "dequantize": [[code, float32_bits(float(value))] for code, value in exact]
        + [[sign | code, float32_bits(-float(value))] for code, value in exact],
        "quantize": [[float32_bits(v), code] for v, code in as_code.items()]
        + [[float32_bits(-v), sign | code] for v, code in as_code.items()],
        "invalid_codes": [code for c in [largest + 1] if c < sign for code in (c, sign - 1, sign | c)],
    }


def weight_code_values() -> list[dict[str, Any]]:
    """Formats from 8 to 32 bits, also with the lowest and the highest bias."""
    formats = [(4, 3, 7), (4, 3, -113), (4, 3, 147), (2, 5, 1), (5, 10, 15), (4, 9, 7), (8, 1, 127), (8, 22, 128)]
    return [weight_format_vectors(*each) for each in [*formats, (8, 23, 127), (2, 23, -125)]]
