"""Minifloats: nearest codes, exact values, saturation; 32 bits are float32 itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.format.header import WeightFormat
from unicorn_codec.weights.minifloat import dequantise, fit_format, quantise

FLOAT32 = WeightFormat(exponent_bits=8, mantissa_bits=23, bias=127)
EIGHT_BITS = WeightFormat(exponent_bits=4, mantissa_bits=3, bias=7)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def formats(draw: st.DrawFn) -> WeightFormat:
    exponent_bits = draw(st.integers(2, 8))
    mantissa_bits = draw(st.integers(max(1, 7 - exponent_bits), 23))
    bias = draw(st.integers(*WeightFormat.bias_range(exponent_bits, mantissa_bits)))
    return WeightFormat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, bias=bias)


@given(finite)
def test_32_bits_are_float32(value: float) -> None:
    values = np.array([value], dtype=np.float32)
    assert np.array_equal(quantise(values, FLOAT32), values.view(np.uint32))
    assert dequantise(quantise(values, FLOAT32), FLOAT32).view(np.uint32) == values.view(np.uint32)


@given(formats(), st.data())
def test_round_trip_of_every_code(weight_format: WeightFormat, data: st.DataObject) -> None:
    code = data.draw(st.integers(0, weight_format.largest_code))
    for signed in (code, code | 1 << (weight_format.bits - 1)):
        codes = np.array([signed], dtype=np.uint32)
        assert quantise(dequantise(codes, weight_format), weight_format).tolist() == [signed]


def test_all_eight_bit_codes_ascend_and_midpoints_go_to_even() -> None:
    codes = np.arange(128, dtype=np.uint32)
    values = dequantise(codes, EIGHT_BITS)
    assert np.all(np.diff(values) > 0)
    middles = ((values[1:] + values[:-1]) / 2).astype(np.float32)
    assert quantise(middles, EIGHT_BITS).tolist() == [code + code % 2 for code in range(127)]
    assert quantise(np.nextafter(middles, np.float32(0)), EIGHT_BITS).tolist() == list(range(127))
    assert quantise(np.nextafter(middles, np.float32(1e9)), EIGHT_BITS).tolist() == list(range(1, 128))


def test_large_values_saturate_and_small_ones_keep_their_sign() -> None:
    values = np.array([1e30, -1e30, 1e-30, -1e-30, 0.0, -0.0], dtype=np.float32)
    assert quantise(values, EIGHT_BITS).tolist() == [127, 255, 0, 128, 0, 128]
    assert np.signbit(dequantise(np.array([128], dtype=np.uint32), EIGHT_BITS)).all()


def test_shapes_are_kept() -> None:
    values = np.ones((2, 3), dtype=np.float32)
    assert quantise(values, EIGHT_BITS).shape == dequantise(quantise(values, EIGHT_BITS), EIGHT_BITS).shape == (2, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    values = np.array([0, value], dtype=np.float32)
    with pytest.raises(InvalidSetting, match="finite"):
        quantise(values, EIGHT_BITS)
    with pytest.raises(ValueError, match="finite"):
        fit_format(values, 4, 3)


@pytest.mark.parametrize("code", [0x7F800000, 0x7FC00000, 0xFF800000])
def test_codes_above_float32_are_refused(code: int) -> None:
    with pytest.raises(InvalidField, match="above float32"):
        dequantise(np.array([code], dtype=np.uint32), FLOAT32)


@given(st.lists(finite, min_size=1, max_size=8), st.integers(2, 8), st.integers(5, 23))
def test_the_fitted_format_just_holds_the_largest(values: list[float], exponent_bits: int, mantissa_bits: int) -> None:
    array = np.array(values, dtype=np.float32)
    fitted = fit_format(array, exponent_bits, mantissa_bits)
    largest = float(np.abs(array).max())
    top = float(dequantise(np.array([fitted.largest_code], dtype=np.uint32), fitted)[0])
    step = top - float(dequantise(np.array([fitted.largest_code - 1], dtype=np.uint32), fitted)[0])
    lowest, highest = WeightFormat.bias_range(exponent_bits, mantissa_bits)
    if largest < 2.0**127:  # above, rounding up would exceed float32
        assert largest < top + step / 2
    if largest and lowest < fitted.bias < highest:
        assert 2 * largest >= top - step  # one bias more would not hold it


def test_a_fitted_32_bit_format_is_float32() -> None:
    assert fit_format(np.array([0.3], dtype=np.float32), 8, 23) == FLOAT32
    assert fit_format(np.zeros(3, dtype=np.float32), 4, 9).bias == 7
    assert fit_format(np.zeros(0, dtype=np.float32), 4, 9).bias == 7


@pytest.mark.parametrize(
    "wrong",
    [(1, 9, 1), (9, 9, 200), (4, 2, 7), (8, 0, 127), (8, 24, 127), (4, 9, -114), (4, 9, 142), (8, 23, 128)],
)
def test_invalid_formats_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidSetting):
        WeightFormat(exponent_bits=wrong[0], mantissa_bits=wrong[1], bias=wrong[2])
