"""Our file at a rate beside the best that some rivals make of as many bytes or a few more."""

from collections.abc import Sequence
from dataclasses import dataclass

from unicorn_codec.bench.own_codec import OWN_NAME
from unicorn_codec.bench.quality_metrics import MAIN_METRIC, METRICS
from unicorn_codec.bench.report import DASH, Point, markdown_table, on_every_picture, value_text

RATE_TOLERANCE = 0.03
HANDICAP_DB = 0.5
"""What PSNR may be worse: pictures that look right are not those of least squared error."""

COMPARED = ("psnr_db", "ms_ssim", "ssimulacra2")


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualBytes:
    """Our file, and of each rival the smallest file that is no smaller than ours."""

    own: Point
    rivals: tuple[Point, ...]

    def best(self, metric: str) -> Point:
        """The rivals' file that is best by a metric."""
        return max(self.rivals, key=lambda point: _quality(point, metric))

    @property
    def is_won(self) -> bool:
        """Whether ours is better in MS-SSIM and SSIMULACRA2 and, in PSNR, at most ``HANDICAP_DB`` worse."""
        handicaps = {"psnr_db": HANDICAP_DB}
        gains = {name: _quality(self.own, name) - _quality(self.best(name), name) for name in COMPARED}
        return all(gain > 0 if name not in handicaps else gain >= -handicaps[name] for name, gain in gains.items())


def at_equal_bytes(points: Sequence[Point], rate: float, rivals: Sequence[str]) -> EqualBytes | None:
    """Compare at a rate in bits per pixel; None without a file of ours within ``RATE_TOLERANCE`` of it, or any rival's.

    Of several such files of ours the one that looks best (SSIMULACRA2) counts.
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
    """One row a rate: ours and the best rival by each metric, and whether ours is better."""
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
