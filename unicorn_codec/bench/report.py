"""Report of a benchmark: a verdict of one sentence, and tables in Markdown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unicorn_codec.bench.bd_rate import RateCurve, RatePoint, bd_rate, pareto_front
from unicorn_codec.bench.network_rivals import RoundedLatents
from unicorn_codec.bench.own_codec import EFFORTS, OWN_NAME
from unicorn_codec.bench.quality_metrics import MAIN_METRIC, METRICS, MetricValues
from unicorn_codec.bench.rivals import Avif, BareAvif

DASH = "—"
ANCHORS = (BareAvif.name, Avif.name)
"""Codecs that BD-rates refer to, the strictest first: no collection needs a container for every picture."""

NOT_RIVALS = (RoundedLatents.name, *EFFORTS)
"""Codecs that no verdict names: nobody can use them, or they are variants of this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A codec at one setting, measured on the files in the folder ``files``.

    Args:
        pictures: number of pictures in the files.
        measured_pictures: number of pictures whose metrics are averaged.
        note: remark on the codec for the reader, if any.
    """

    codec: str
    title: str
    setting: str
    files: str
    pictures: int
    measured_pictures: int
    note: str | None
    bytes: int
    bits_per_pixel: float
    bits_per_pixel_with_autoencoder: float | None
    metrics: MetricValues
    pack_s: float
    unpack_s: float
    peak_mb: float

    @property
    def is_lossless(self) -> bool:
        return self.metrics["psnr_db"] == math.inf


@dataclass(frozen=True, slots=True)
class RivalMatch:
    """One of this codec's files against the rival that is cheapest at the same quality.

    ``is_bound``: even the rival's smallest files are better, so it might need fewer bytes at this quality.
    """

    bits_per_pixel: float
    quality: float
    rival: str
    rival_bits_per_pixel: float
    is_bound: bool

    @property
    def is_won(self) -> bool:
        return self.bits_per_pixel < self.rival_bits_per_pixel

    @property
    def saving(self) -> int:
        """Percentage of the larger file's bytes that the smaller one saves."""
        smaller, larger = sorted((self.bits_per_pixel, self.rival_bits_per_pixel))
        return round(100 * (1 - smaller / larger))


def curve_of(points: Sequence[Point], codec: str, metric: str) -> list[RatePoint]:
    """Return rate and quality of a codec's points, on a scale where higher is better.

    Points without a value are left out.
    """
    scale = METRICS[metric].quality
    measured = [(p.bits_per_pixel, p.metrics[metric]) for p in points if p.codec == codec]
    return [RatePoint(rate, scale(value)) for rate, value in measured if value is not None]


def titles_of(points: Sequence[Point]) -> dict[str, str]:
    """Return the title of every codec by its name, in the order run. It says if not all pictures were stored."""
    most = max((point.pictures for point in points), default=0)
    return {p.codec: p.title if p.pictures == most else f"{p.title} ({p.pictures} pictures)" for p in points}


def on_every_picture(points: Sequence[Point]) -> list[Point]:
    """Return the points that are comparable: those of codecs that stored every picture."""
    most = max((point.pictures for point in points), default=0)
    return [point for point in points if point.pictures == most]


def verdict(points: Sequence[Point]) -> str:
    """Return one sentence on whether this codec pays on these pictures."""
    points = on_every_picture(points)
    metric = MAIN_METRIC if any(point.metrics[MAIN_METRIC] is not None for point in points) else "psnr_db"
    own = pareto_front(curve_of(points, OWN_NAME, metric))
    if not own:
        return "There is no verdict on unicorn: it was not among the codecs that ran."
    rivals = {
        title: pareto_front(curve_of(points, name, metric))
        for name, title in titles_of(points).items()
        if name != OWN_NAME and name not in NOT_RIVALS
    }
    matches = [match for point in own if (match := _cheapest(point, rivals))]
    if not any(rivals.values()):
        return "There is no verdict on whether unicorn pays: no rival ran."
    if not matches:
        return (
            f"No rival ran at settings as small as unicorn's {own[0].bits_per_pixel:.2g} bits per pixel, "
            f"nor at a quality as low: there is no verdict at equal {_short(metric)}."
        )
    return _sentence(matches, _short(metric))


def _cheapest(own: RatePoint, rivals: Mapping[str, list[RatePoint]]) -> RivalMatch | None:
    """Match a point with the rival of the lowest rate at its quality. None if no rival is comparable."""
    matches = []
    for title, points in rivals.items():
        if not points or points[-1].quality < own.quality:
            continue
        is_bound = own.quality < points[0].quality
        rate = points[0].bits_per_pixel
        if not is_bound and len(points) > 1:
            rate = RateCurve(points).bits_per_pixel(own.quality)
        match = RivalMatch(own.bits_per_pixel, own.quality, title, rate, is_bound)
        if not (match.is_won and is_bound):  # smaller and worse than the rival's smallest file: not comparable
            matches.append(match)
    return min(matches, key=lambda match: match.rival_bits_per_pixel, default=None)


def _sentence(matches: Sequence[RivalMatch], metric: str) -> str:
    won = [match for match in matches if match.is_won and match.saving > 0]
    lost = [match for match in matches if match not in won]
    if not lost:
        match = _middle(won)
        return (
            f"At about {match.bits_per_pixel:.2g} bits per pixel unicorn needs {match.saving} % fewer bytes than "
            f"{match.rival}, the best rival, for the same {metric} ({match.quality:.3g}) here: it pays."
        )
    if not won:
        match = _middle(lost)
        return f"At about {_loss(match, metric)}: keep {match.rival}."
    win, loss = _middle(won), _middle(lost)
    return (
        f"At about {win.bits_per_pixel:.2g} bits per pixel unicorn needs {win.saving} % fewer bytes than {win.rival} "
        f"for the same {metric} ({win.quality:.3g}) here and pays, but at about {_loss(loss, metric)}."
    )


def _loss(match: RivalMatch, metric: str) -> str:
    amount = f"{match.saving} % fewer bytes than" if match.saving else "as few bytes as"
    at_least = "at least " if match.is_bound and match.saving else ""
    return (
        f"{match.bits_per_pixel:.2g} bits per pixel {match.rival} needs {at_least}{amount} unicorn "
        f"for the same {metric} ({match.quality:.3g}) here"
    )


def _middle(matches: Sequence[RivalMatch]) -> RivalMatch:
    return matches[(len(matches) - 1) // 2]


def _short(metric: str) -> str:
    return METRICS[metric].title.split(" (")[0]


BD_TEXT = (
    "Mean difference in bytes at equal quality; less than 0 % is a saving. In brackets: the interval that it covers, "
    "of quality and of the anchor's bits per pixel (bpp). A dash: the curves overlap too little."
)


def markdown(sentence: str, points: Sequence[Point], skipped: Sequence[str], origin: Mapping[str, Any]) -> str:
    """Return the whole report: verdict, all points, BD-rates and provenance."""
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    parts = [
        "# Benchmark",
        sentence,
        f"{origin['pictures']:,} of {origin['of_pictures']:,} pictures, {origin['pixels']:,} pixels; {origin['date']}, "
        f"{origin['device']}, {origin['cores']} cores, seed {origin['seed']}.",
        point_table(points),
        *notes(points),
        "Bytes are those of the files on disk, with the pictures' names where a file holds them (zip, unicorn). "
        "Metrics are means over the measured pictures. Times are from picture files to coded files and back to "
        "pixels; unicorn's include measuring its own file. Memory is the peak of the whole process, "
        "interpreter included.",
    ]
    with_weights = [p for p in points if p.bits_per_pixel_with_autoencoder is not None]
    if with_weights:
        rates = ", ".join(f"{p.bits_per_pixel_with_autoencoder:.3f}" for p in with_weights)
        parts.append(f"With the autoencoder's weights in each file, unicorn's rates would be {rates} bits per pixel.")
    if anchor := anchor_of(points):
        parts += [f"## BD-rate against {titles_of(points)[anchor]}", f"{BD_TEXT} {minimised_text()}", bd_table(points)]
    if skipped:
        parts += ["## Skipped", "\n".join(f"- {line}" for line in skipped)]
    parts += ["## Provenance", f"`{origin['command']}`", versions]
    return "\n\n".join(parts) + "\n"


def minimised_text() -> str:
    """Return a sentence on the metrics that this codec minimises, so that no reader takes them for judges."""
    listed = [f"{m.title.split(' (')[0]} ({m.minimised})" for m in METRICS.values() if m.minimised]
    return f"Minimised by unicorn itself, and so no independent judges: {', '.join(listed)}."


def notes(points: Sequence[Point]) -> list[str]:
    """Return remarks for the reader of the table: notes on codecs, and numbers of measured pictures."""
    found = [f"{p.title}: {p.note}." for p in {p.codec: p for p in points}.values() if p.note]
    measured = {(p.measured_pictures, p.pictures) for p in on_every_picture(points)}
    found += [f"Metrics are of {some:,} pictures, bytes of {all_:,}." for some, all_ in sorted(measured) if some < all_]
    return found


def point_table(points: Sequence[Point]) -> str:
    """Return a table of every point with every metric. A dash stands for a missing value."""
    titles = titles_of(points)
    head = ["codec", "setting", "bytes", "bits per pixel", *(metric.title for metric in METRICS.values())]
    rows = [
        [
            *(titles[point.codec], point.setting, f"{point.bytes:,}", f"{point.bits_per_pixel:.4f}"),
            *(value_text(point.metrics[name], metric.decimals) for name, metric in METRICS.items()),
            *(f"{point.pack_s:.2f}", f"{point.unpack_s:.2f}", f"{point.peak_mb:.0f}"),
        ]
        for point in points
    ]
    return markdown_table([*head, "pack, s", "unpack, s", "peak, MB"], rows, left=2)


def anchor_of(points: Sequence[Point]) -> str | None:
    """Return the name of the codec that BD-rates refer to; None if no anchor ran."""
    found = {point.codec for point in points}
    return next((name for name in ANCHORS if name in found), None)


def bd_table(points: Sequence[Point]) -> str:
    """Return a table of the BD-rates of every other codec against the anchor; nothing without an anchor."""
    points = on_every_picture(points)
    anchor = anchor_of(points)
    if anchor is None:
        return ""
    measured = {name: m for name, m in METRICS.items() if any(p.metrics[name] is not None for p in points)}
    judged = {name: metric for name, metric in measured.items() if math.isfinite(metric.least_overlap)}
    rows = [
        [title, *(bd_text(points, anchor, codec, name) for name in judged)]
        for codec, title in titles_of(points).items()
        if codec != anchor
    ]
    return markdown_table(["codec", *(metric.axis for metric in judged.values())], rows, left=1)


def bd_text(points: Sequence[Point], anchor: str, codec: str, metric: str) -> str:
    """Return a codec's BD-rate against the anchor and the interval that it covers, or a dash."""
    reference, test = (curve_of(points, name, metric) for name in (anchor, codec))
    found = bd_rate(reference, test, METRICS[metric].least_overlap)
    if found is None:
        return DASH
    rates = f"{found.low_rate:.2f} to {found.high_rate:.2f} bpp"
    return f"{found.percent:+.1f} % ({found.low:.1f} to {found.high:.1f}; {rates})"


def value_text(value: float | None, decimals: int) -> str:
    if value is None:
        return DASH
    return f"{value:.{decimals}f}" if math.isfinite(value) else "∞"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Return a Markdown table whose first ``left`` columns are left-aligned and the others right-aligned."""
    rule = [":--" if column < left else "--:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
