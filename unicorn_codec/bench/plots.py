"""Rate-distortion plots, one per metric, as PNG and SVG. Curves differ in marker and dashes as well as in colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unicorn_codec.bench.bd_rate import RatePoint, pareto_front
from unicorn_codec.bench.own_codec import OWN_NAME
from unicorn_codec.bench.quality_metrics import METRICS, Metric
from unicorn_codec.bench.report import Point, curve_of, titles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCHES = (6.4, 4.2)
DOTS_PER_INCH = 200
FONT_POINTS = 8.5
LABEL_GAP = 0.05
"""Least distance between two labels, as a fraction of the axes' height."""
SAMPLE_PLACES = (1.04, 1.075, 1.11)
LABEL_PLACE = 1.125
"""Positions of a label's line and of its text, as fractions of the axes' width."""

SETTINGS: dict[Any, Any] = {
    "font.size": FONT_POINTS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "svg.hashsalt": "unicorn",
}


@dataclass(frozen=True, slots=True)
class Style:
    """Style of a curve. The colours differ in lightness too."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[float, ...]]
    width: float = 1.2
    is_filled: bool = False

    def line(self) -> dict[str, Any]:
        """Return the properties of the line for matplotlib."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": 5,
            "markerfacecolor": self.colour if self.is_filled else "white",
            "linestyle": self.dashes,
            "linewidth": self.width,
        }


OWN_STYLE = Style("black", "o", "solid", 2.2, is_filled=True)
STYLES = (
    Style("#c44e00", "s", "solid"),
    Style("#0072b2", "^", (0, (5, 1.5))),
    Style("#009e73", "D", (0, (1.2, 1.2))),
    Style("#cc79a7", "v", (0, (6, 1.5, 1.2, 1.5))),
    Style("#7a5c00", "X", (0, (3, 1))),
    Style("#56a5d8", "P", "solid"),
    Style("#8a1c4a", "<", (0, (4, 1.2, 1, 1.2, 1, 1.2))),
    Style("#6b6b6b", ">", (0, (8, 2))),
    Style("#3d2f9c", "*", (0, (2, 2))),
    Style("#a0a000", "h", (0, (5, 1.5))),
    Style("#2f6b2f", "d", (0, (1.2, 2.4))),
    Style("#e08a70", "p", (0, (6, 1.5, 1.2, 1.5))),
    Style("#404040", "x", (0, (1.2, 1.2))),
    Style("#005f73", "8", (0, (3, 1))),
    Style("#9b2226", "H", (0, (5, 1.5))),
    Style("#6a994e", "+", "solid"),
    Style("#b5838d", "1", (0, (8, 2))),
    Style("#4a4e69", "2", (0, (2, 2))),
    Style("#bc6c25", "3", (0, (1.2, 2.4))),
    Style("#277da1", "4", (0, (4, 1.2, 1, 1.2, 1, 1.2))),
    Style("#7f4f9c", "|", (0, (6, 1.5, 1.2, 1.5))),
)


def draw_plots(points: Sequence[Point], output: Path, stem: str = "rd") -> list[Path]:
    """Write ``STEM-METRIC.png`` and ``.svg`` for every metric that has values. Lossless codecs are left out."""
    import matplotlib

    lossy = [point for point in points if not point.is_lossless]
    names = list(titles_of(points))
    rivals = [name for name in names if name != OWN_NAME]
    styles = {name: STYLES[number % len(STYLES)] for number, name in enumerate(rivals)} | {OWN_NAME: OWN_STYLE}
    paths = []
    for name, metric in METRICS.items():
        curves = {codec: curve_of(lossy, codec, name) for codec in names}
        drawn = {codec: curve for codec, curve in curves.items() if pareto_front(curve)}
        if not drawn:
            continue
        with matplotlib.rc_context(SETTINGS):
            figure = rate_distortion_figure(drawn, titles_of(points), styles, metric)
            for suffix in ("png", "svg"):
                paths.append(output / f"{stem}-{name}.{suffix}")
                stamp = {"Date": None} if suffix == "svg" else {"Software": None}
                figure.savefig(paths[-1], dpi=DOTS_PER_INCH, metadata=stamp)
    return paths


def rate_distortion_figure(
    curves: dict[str, list[RatePoint]], titles: dict[str, str], styles: dict[str, Style], metric: Metric
) -> "Figure":
    """Plot quality over the rate on a logarithmic axis, with each curve's name at its end.

    A curve connects the points that no other point of the codec beats. The others are separate markers.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    ends: list[tuple[RatePoint, str, Style]] = []
    for codec, points in curves.items():
        style, curve = styles[codec], pareto_front(points)
        for part, line in ((curve, style.line()), (points, style.line() | {"linestyle": "none"})):
            axes.plot(
                [point.bits_per_pixel for point in part],
                [point.quality for point in part],
                zorder=3 if codec == OWN_NAME else 2,
                **line,
            )
        ends.append((curve[-1], titles[codec], style))
    _format_axes(axes, metric)
    _label_ends(axes, ends)
    return figure


def _format_axes(axes: "Axes", metric: Metric) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlabel("rate (bits per pixel, logarithmic)")
    axes.set_ylabel(metric.axis)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def _label_ends(axes: "Axes", ends: Sequence[tuple[RatePoint, str, Style]]) -> None:
    """Write each name next to the axes with a sample of its line, as near to the end of its curve as there is room."""
    low, high = axes.get_ylim()
    ordered = sorted(ends, key=lambda end: (end[0].quality, end[0].bits_per_pixel))
    heights = spread_labels([(point.quality - low) / (high - low) for point, _, _ in ordered], LABEL_GAP)
    for (point, title, style), height in zip(ordered, heights, strict=True):
        axes.annotate(
            "",
            xy=(point.bits_per_pixel, point.quality),
            xytext=(SAMPLE_PLACES[0], height),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": style.colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 4},
        )
        axes.plot(
            SAMPLE_PLACES,
            [height] * len(SAMPLE_PLACES),
            transform=axes.transAxes,
            clip_on=False,
            markevery=[1],
            **style.line(),
        )
        axes.text(
            LABEL_PLACE,
            height,
            title,
            transform=axes.transAxes,
            fontweight="bold" if style is OWN_STYLE else "normal",
            verticalalignment="center",
        )


def spread_labels(heights: Sequence[float], gap: float) -> list[float]:
    """Spread ascending heights within [0, 1] until neighbours differ by ``gap``, moving them as little as possible."""
    groups: list[tuple[float, int]] = []  # sum and number of the heights of labels that touch

    def middle(total: float, count: int) -> float:
        margin = min((count - 1) * gap / 2, 0.5)
        return min(max(total / count, margin), 1 - margin)

    for height in heights:
        total, count = height, 1
        while groups and middle(total, count) - middle(*groups[-1]) < (count + groups[-1][1]) * gap / 2:
            other, others = groups.pop()
            total, count = total + other, count + others
        groups.append((total, count))
    return [middle(t, n) + (place - (n - 1) / 2) * gap for t, n in groups for place in range(n)]
