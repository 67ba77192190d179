"""Minifloats: float32 values <-> codes of 1 + e + m bits with a stored exponent bias (paper, section 3.3).

The paper clamps the exponent to [-2^e, 2^e - 1], which is twice as many values as e bits hold. Here the exponent field
holds 0 to 2^e - 1 and the stored bias shifts it: see ``format_spec/uni-1.md`` ("Weight codes").
"""

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import WeightFormat


def fit_format(values: NDArray[np.float32], exponent_bits: int, mantissa_bits: int) -> WeightFormat:
    """Return the format of this many bits whose largest finite value lies just above the largest magnitude.

    Raises:
        InvalidSetting: values are not finite, or there is no format of this many bits.
    """
    largest = _largest_magnitude(values)
    top_field = (1 << exponent_bits) - 1
    if largest == 0:
        return _clamped(exponent_bits, mantissa_bits, top_field // 2)
    exponent = int(np.frexp(largest)[1]) - 1
    # A magnitude that rounds up to the next power of two needs the next exponent.
    if np.ldexp(largest, -exponent) >= 2 - np.ldexp(1.0, -mantissa_bits - 1):
        exponent += 1
    return _clamped(exponent_bits, mantissa_bits, top_field - exponent)


def _clamped(exponent_bits: int, mantissa_bits: int, bias: int) -> WeightFormat:
    lowest, highest = WeightFormat.bias_range(exponent_bits, mantissa_bits)
    return WeightFormat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, bias=min(max(bias, lowest), highest))


def _largest_magnitude(values: NDArray[np.float32]) -> float:
    largest = float(np.abs(values).max(initial=0))
    check(np.isfinite(largest), "weights must be finite, but some are NaN or infinite")
    return largest


def quantise(values: NDArray[np.float32], weight_format: WeightFormat) -> NDArray[np.uint32]:
    """Round float32 values of any shape to the nearest code, ties to even. Returns uint32 of the same shape.

    Values that are too large saturate at the largest finite code. Values that are too small become zero with their
    sign.

    Raises:
        InvalidSetting: values are not finite.
    """
    _largest_magnitude(values)
    magnitudes = np.abs(values.astype(np.float64))
    lowest = 1 - weight_format.bias
    exponents = np.where(magnitudes > 0, np.frexp(magnitudes)[1] - 1, lowest)
    exponents = np.maximum(exponents, lowest)
    # Scaling by a power of two is exact, so only rint rounds. A carry out of the mantissa lands in the exponent because
    # the two fields are adjacent, and a code is odd exactly when its mantissa is.
    significands = np.rint(np.ldexp(magnitudes, weight_format.mantissa_bits - exponents)).astype(np.int64)
    codes = significands + ((exponents - lowest).astype(np.int64) << weight_format.mantissa_bits)
    signs = np.signbit(values).astype(np.uint32) << np.uint32(weight_format.bits - 1)
    rounded: NDArray[np.uint32] = signs | np.minimum(codes, weight_format.largest_code).astype(np.uint32)
    return rounded


def dequantise(codes: NDArray[np.uint32], weight_format: WeightFormat) -> NDArray[np.float32]:
    """Return the exact float32 value of every code, in the same shape.

    Raises:
        InvalidField: a code stands for 2^128 or more, which float32 cannot hold.
    """
    mantissa_bits = weight_format.mantissa_bits
    magnitudes = codes.astype(np.int64) & ((1 << (weight_format.bits - 1)) - 1)
    if magnitudes.max(initial=0) > weight_format.largest_code:
        raise InvalidField(
            f"weight code {int(magnitudes.max())} is above float32, allowed are 0 to {weight_format.largest_code}"
        )
    fields = magnitudes >> mantissa_bits
    significands = (magnitudes & ((1 << mantissa_bits) - 1)) | ((fields > 0).astype(np.int64) << mantissa_bits)
    exponents = np.maximum(fields, 1) - weight_format.bias - mantissa_bits
    signs = np.where(codes >> np.uint32(weight_format.bits - 1), -1.0, 1.0)
    values: NDArray[np.float32] = np.ldexp(signs * significands, exponents).astype(np.float32)
    return values
