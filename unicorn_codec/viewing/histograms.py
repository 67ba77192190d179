"""Histograms as plain geometry, which a page's template draws as SVG."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 480, 150
"""Of the plot's area in its own units."""

MOST_BINS = 32


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its place in the plot, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the horizontal axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How values are spread.

    Args:
        title: what the values are, with their unit.
        count: number of values.
        median: of the values, as text.
        bars: from left to right.
        ticks: of the axis, at round values.
        marker: place of the median.
        largest: number of values of the highest bar.
    """

    title: str
    count: int
    median: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    marker: float
    largest: int


def histogram(title: str, values: Sequence[float], text: Callable[[float], str]) -> Histogram | None:
    """Return the histogram of the finite ones among some values; None without any.

    Args:
        text: formats a value.
    """
    finite = np.array([value for value in values if math.isfinite(value)], np.float64)
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(finite, bins=min(MOST_BINS, 2 * math.isqrt(finite.size) + 1), range=(low, high))
    step, scale = WIDTH / len(counts), HEIGHT / int(counts.max())
    bars = tuple(
        Bar(
            x=round(n * step + 0.5, 2),
            y=round(HEIGHT - number * scale, 2),
            width=round(step - 1, 2),
            height=round(number * scale, 2),
            text=f"{text(edges[n])} to {text(edges[n + 1])}: {number}",
        )
        for n, number in enumerate(counts.tolist())
        if number
    )

    def place(value: float) -> float:
        return round((value - low) / (high - low) * WIDTH, 2)

    median = float(np.median(finite))
    return Histogram(
        title=title,
        count=int(finite.size),
        median=text(median),
        bars=bars,
        ticks=tuple(Tick(place(value), text(value)) for value in round_values(low, high)),
        marker=place(median),
        largest=int(counts.max()),
    )


def round_values(low: float, high: float) -> list[float]:
    """Return three to seven round values between two."""
    rough = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]
