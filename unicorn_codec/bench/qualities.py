"""How good decoded pictures are: every measure that a benchmark knows, and which of them can be had here.

PSNR, MS-SSIM and SSIMULACRA2 always. The perceptual distance needs SqueezeNet's features in a file; LPIPS and DISTS
need their packages and weights on this machine already. What is missing is None, never something else instead.
"""

import importlib
import importlib.util
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.trial import read_decoded
from unicorn_codec.errors import PackageMissing
from unicorn_codec.images import Pixels, to_image
from unicorn_codec.metrics import ms_ssim, psnr_db

LEAST_SSIMULACRA2_SIDE = 8


def as_it_is(value: float) -> float:
    return value


def similarity_to_db(value: float) -> float:
    """Stretch the values just below 1, where all decent pictures are."""
    return -10 * math.log10(1 - value) if value < 1 else math.inf


def distance_to_db(value: float) -> float:
    """A distance as a quality, of which more is better."""
    return -10 * math.log10(value) if value > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure of distortion.

    Args:
        title: in a table, with its unit.
        decimals: that a table shows.
        axis: the scale of ``quality``, with its unit.
        quality: its values on a scale where more is better and equal steps mean about as much.
        least_overlap: on that scale; curves that share less of it have no BD-rate.
    """

    title: str
    decimals: int
    axis: str
    quality: Callable[[float], float]
    least_overlap: float


METRICS: Mapping[str, Metric] = {
    "psnr_db": Metric("PSNR (dB)", 2, "PSNR (dB)", as_it_is, 2.0),
    "ms_ssim": Metric("MS-SSIM", 4, "MS-SSIM, as -10 log₁₀(1 - x) (dB)", similarity_to_db, 2.0),
    "ssimulacra2": Metric("SSIMULACRA2", 1, "SSIMULACRA2 (points)", as_it_is, 10.0),
    "perceptual_distance": Metric(
        "perceptual distance", 4, "perceptual distance, as -10 log₁₀ x (dB)", distance_to_db, 2.0
    ),
    "lpips": Metric("LPIPS", 4, "LPIPS, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "dists": Metric("DISTS", 4, "DISTS, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
}
JUDGE = "ssimulacra2"

Values = dict[str, float | None]


def measure_pair(original: Pixels, decoded: Pixels, features: Path | None) -> Values:
    """Every measure of one picture; None where it cannot be had."""
    values: Values = dict.fromkeys(METRICS)
    values |= {
        "psnr_db": psnr_db(original, decoded),
        "ms_ssim": ms_ssim(original, decoded),
        "ssimulacra2": ssimulacra2(original, decoded),
    }
    return values | _learned(original, decoded, features)


def measure_position(pictures: PictureSet, decoded: Path, features: Path | None, position: int) -> Values:
    """Measure one picture that a trial decoded; for a process of its own, of which there is one a core."""
    return measure_pair(pictures[position], read_decoded(decoded, position), features)


def _learned(original: Pixels, decoded: Pixels, features: Path | None) -> Values:
    """Distances by networks; torch is loaded only if there are any."""
    if features is None and not any(map(importlib.util.find_spec, ("lpips", "piq"))):
        return {}
    from unicorn_codec.bench.learned_distances import learned_distances

    return {name: distance(original, decoded) for name, distance in learned_distances(features).items()}


def mean_values(rows: Sequence[Values]) -> Values:
    """Mean of each measure over the pictures; None where a picture has none."""
    means: Values = {}
    for name in METRICS:
        found = [value for row in rows if (value := row[name]) is not None]
        means[name] = float(np.mean(found)) if len(found) == len(rows) else None
    return means


def ssimulacra2(original: Pixels, decoded: Pixels) -> float | None:
    """SSIMULACRA2 as the package of this name has it: 100 is identical, below 30 is poor. None below 8 pixels."""
    if min(original.shape[:2]) < LEAST_SSIMULACRA2_SIDE:
        return None
    compute = importlib.import_module("ssimulacra2").compute_ssimulacra2
    return float(compute(_ppm(original), _ppm(decoded)))


def _ppm(pixels: Pixels) -> io.BytesIO:
    """The package reads files alone; this is the cheapest."""
    file = io.BytesIO()
    to_image(pixels).save(file, "PPM")
    file.seek(0)
    return file


def check_packages(features: Path | None) -> None:
    """Raise before hours of work what would stop it at its end.

    Raises:
        PackageMissing: a package of the extra ``bench`` is not installed.
        InvalidSetting: the file of features cannot be used.
    """
    absent = [name for name in ("matplotlib", "ssimulacra2") if importlib.util.find_spec(name) is None]
    if absent:
        raise PackageMissing(f"not installed: {', '.join(absent)}; pip install 'unicorn-codec[bench]'")
    blank = np.zeros((LEAST_SSIMULACRA2_SIDE, LEAST_SSIMULACRA2_SIDE, 3), np.uint8)
    _learned(blank, blank, features)
