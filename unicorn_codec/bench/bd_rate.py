"""BD-rate: mean difference in rate between two codecs at equal quality, over the qualities that both reach.

This is Bjontegaard's delta (VCEG-M33) with monotone piecewise-cubic interpolation of the logarithmic rate: a single
cubic through all points, as in the original, oscillates between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RatePoint:
    """A codec at one setting: bits per pixel, and a quality of which higher is better."""

    bits_per_pixel: float
    quality: float


@dataclass(frozen=True, slots=True)
class BdRate:
    """Mean difference in rate. Less than 0 % is a saving.

    Args:
        low, high: the interval of quality over which it is averaged.
        low_rate, high_rate: bits per pixel of the anchor at its ends.
    """

    percent: float
    low: float
    high: float
    low_rate: float
    high_rate: float


class RateCurve:
    """Bits per pixel as a function of quality, interpolated between a codec's points.

    Points that another one beats in both rate and quality are left out.

    Raises:
        ValueError: fewer than two points are left.
    """

    def __init__(self, points: Sequence[RatePoint]) -> None:
        kept = pareto_front(points)
        if len(kept) < 2:
            raise ValueError("a curve needs two points")
        self.qualities = np.array([point.quality for point in kept])
        self._log_rates = np.log([point.bits_per_pixel for point in kept])
        self._slopes = monotone_slopes(self.qualities, self._log_rates)

    @property
    def low(self) -> float:
        return float(self.qualities[0])

    @property
    def high(self) -> float:
        return float(self.qualities[-1])

    def log_rate(self, qualities: FloatArray) -> FloatArray:
        """Return the natural logarithm of the rate at qualities within [low, high]."""
        x, y, slopes = self.qualities, self._log_rates, self._slopes
        left = np.clip(np.searchsorted(x, qualities, side="right") - 1, 0, len(x) - 2)
        width = x[left + 1] - x[left]
        t = (qualities - x[left]) / width
        ends = y[left] * (1 + 2 * t) * (1 - t) ** 2 + y[left + 1] * t**2 * (3 - 2 * t)
        bends = width * t * (1 - t) * (slopes[left] * (1 - t) - slopes[left + 1] * t)
        result: FloatArray = ends + bends
        return result

    def bits_per_pixel(self, quality: float) -> float:
        """Return the rate at a quality within [low, high]."""
        return float(np.exp(self.log_rate(np.array([quality])))[0])


def bd_rate(anchor: Sequence[RatePoint], test: Sequence[RatePoint], least_overlap: float) -> BdRate | None:
    """Return the mean difference of the rate of ``test`` from that of ``anchor`` at equal quality.

    Returns:
        None if the curves share an interval of quality shorter than ``least_overlap``, or one is a single point.
    """
    try:
        first, second = RateCurve(anchor), RateCurve(test)
    except ValueError:
        return None
    low, high = max(first.low, second.low), min(first.high, second.high)
    if high <= low or high - low < least_overlap:
        return None
    knots = np.union1d(first.qualities, second.qualities)
    knots = np.concatenate([[low], knots[(knots > low) & (knots < high)], [high]])
    # Gauss-Legendre with two nodes integrates a cubic exactly, and between two knots both curves are cubics.
    middles, halves = (knots[1:] + knots[:-1]) / 2, np.diff(knots) / 2
    total = 0.0
    for node in (-1 / math.sqrt(3), 1 / math.sqrt(3)):
        places = middles + node * halves
        total += float(((second.log_rate(places) - first.log_rate(places)) * halves).sum())
    return BdRate(
        percent=100 * math.expm1(total / (high - low)),
        low=low,
        high=high,
        low_rate=first.bits_per_pixel(low),
        high_rate=first.bits_per_pixel(high),
    )


def pareto_front(points: Sequence[RatePoint]) -> list[RatePoint]:
    """Return the points that no other one beats, by rising rate. Lossless points, of infinite quality, are left out."""
    kept: list[RatePoint] = []
    for point in sorted(points, key=lambda p: (p.bits_per_pixel, -p.quality)):
        if math.isfinite(point.quality) and (not kept or point.quality > kept[-1].quality):
            kept.append(point)
    return kept


def monotone_slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return slopes at the knots with which cubic pieces stay monotone (Fritsch and Butland 1984)."""
    widths = np.diff(x)
    secants = np.diff(y) / widths
    if len(secants) == 1:
        return np.repeat(secants, 2)
    slopes = np.zeros(len(x))
    left, right = 2 * widths[1:] + widths[:-1], widths[1:] + 2 * widths[:-1]
    turning = secants[1:] * secants[:-1] <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (left + right) / (left / secants[:-1] + right / secants[1:])
    slopes[1:-1] = np.where(turning, 0, inner)
    slopes[0] = _end_slope(widths[0], widths[1], secants[0], secants[1])
    slopes[-1] = _end_slope(widths[-1], widths[-2], secants[-1], secants[-2])
    return slopes


def _end_slope(width: float, next_width: float, secant: float, next_secant: float) -> float:
    """Return the slope of a parabola through three points at its end, limited to keep the piece monotone."""
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant <= 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope
