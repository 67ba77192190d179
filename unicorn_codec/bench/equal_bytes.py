"""Comparison at equal bytes: this codec's file at a rate against the smallest files of rivals that are no smaller."""

from collections.abc import Sequence
from dataclasses import dataclass

from unicorn_codec.bench.own_codec import OWN_NAME
from unicorn_codec.bench.quality_metrics import MAIN_METRIC, METRICS
from unicorn_codec.bench.report import DASH, Point, markdown_table, on_every_picture, value_text

RATE_TOLERANCE = 0.03
HANDICAP_DB = 0.5
"""Largest loss of PSNR in a win: the picture that looks most faithful does not have the least squared error."""

COMPARED = ("psnr_db", "ms_ssim", "ssimulacra2")


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualBytes:
    """This codec's file, and for each rival its smallest file that is no smaller."""

    own: Point
    rivals: tuple[Point, ...]

    def best(self, metric: str) -> Point:
        """Return the best of the rivals' files by a metric."""
        return max(self.rivals, key=lambda point: _quality(point, metric))

    @property
    def is_won(self) -> bool:
        """Whether this codec is better in MS-SSIM and SSIMULACRA2, and in PSNR at most ``HANDICAP_DB`` worse."""
        handicaps = {"psnr_db": HANDICAP_DB}
        gains = {name: _quality(self.own, name) - _quality(self.best(name), name) for name in COMPARED}
        return all(gain > 0 if name not in handicaps else gain >= -handicaps[name] for name, gain in gains.items())


def at_equal_bytes(points: Sequence[Point], rate: float, rivals: Sequence[str]) -> EqualBytes | None:
    """Compare at a rate in bits per pixel.

    Returns None if this codec has no file near it, or no rival has one to compare.

    Of several files within ``RATE_TOLERANCE`` of the rate, the one with the highest SSIMULACRA2 counts.
    """
    points = on_every_picture(points)
    ours = [p for p in points if p.codec == OWN_NAME and abs(p.bits_per_pixel / rate - 1) <= RATE_TOLERANCE]
    if not ours:
        return None
    own = max(ours, key=lambda point: _quality(point, MAIN_METRIC))
    larger = [[p for p in points if p.codec == name and p.bytes >= own.bytes] for name in rivals]
    smallest = tuple(min(files, key=lambda point: point.bytes) for files in larger if files)
    return EqualBytes(own=own, rivals=smallest) if smallest else None


def equal_bytes_table(points: Sequence[Point], rates: Sequence[float], rivals: Sequence[str]) -> str:
    """Return a table with one row per rate: this codec and the best rival by each metric, and whether it wins."""
    rows = []
    for rate in rates:
        found = at_equal_bytes(points, rate, rivals)
        if found is None:
            rows.append([f"{rate:g}", DASH, *[DASH] * (2 * len(COMPARED)), "no file to compare"])
            continue
        cells = [f"{rate:g}", f"{found.own.bits_per_pixel:.4f}"]
        for name in COMPARED:
            best, decimals = found.best(name), METRICS[name].decimals
            cells.append(value_text(found.own.metrics[name], decimals))
            value = value_text(best.metrics[name], decimals)
            cells.append(f"{value} ({best.title}, {best.setting}, {best.bits_per_pixel:.4f})")
        rows.append([*cells, "yes" if found.is_won else "no"])
    head = ["bits per pixel", "ours"]
    for name in COMPARED:
        head += [METRICS[name].title, "best rival"]
    return markdown_table([*head, "better?"], rows, left=0)


def _quality(point: Point, metric: str) -> float:
    value = point.metrics[metric]
    return -float("inf") if value is None else METRICS[metric].quality(value)
