"""How good decoded pictures are: every measure that a benchmark knows, and which of them can be had here.

PSNR, MS-SSIM and SSIMULACRA2 always. The perceptual distance needs SqueezeNet's features in a file; LPIPS, DISTS, FID,
CLIP-IQA, NIQE and BRISQUE need their packages and weights on this machine already. What is missing is None, never
something else instead.
"""

import importlib
import importlib.util
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.trial import read_decoded
from unicorn_codec.errors import PackageMissing
from unicorn_codec.pictures.images import Pixels, to_image
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db

LEAST_SSIMULACRA2_SIDE = 8


def identity(value: float) -> float:
    return value


def similarity_to_db(value: float) -> float:
    """Stretch the values just below 1, where all decent pictures are."""
    return -10 * math.log10(1 - value) if value < 1 else math.inf


def negated(value: float) -> float:
    return -value


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
        least_overlap: on that scale; curves that share less of it have no BD-rate. Infinite for measures that do
            not look at the original: less of what they dislike is not more of the picture.
    """

    title: str
    decimals: int
    axis: str
    quality: Callable[[float], float]
    least_overlap: float


METRICS: Mapping[str, Metric] = {
    "psnr_db": Metric("PSNR (dB)", 2, "PSNR (dB)", identity, 2.0),
    "ms_ssim": Metric("MS-SSIM", 4, "MS-SSIM, as -10 log₁₀(1 - x) (dB)", similarity_to_db, 2.0),
    "ssimulacra2": Metric("SSIMULACRA2", 1, "SSIMULACRA2 (points)", identity, 10.0),
    "perceptual_distance": Metric(
        "perceptual distance", 4, "perceptual distance, as -10 log₁₀ x (dB)", distance_to_db, 2.0
    ),
    "lpips": Metric("LPIPS", 4, "LPIPS, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "dists": Metric("DISTS", 4, "DISTS, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "fid": Metric("FID", 2, "FID, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "clip_iqa": Metric("CLIP-IQA", 3, "CLIP-IQA (0 to 1)", identity, math.inf),
    "niqe": Metric("NIQE", 2, "-NIQE (points)", negated, math.inf),
    "brisque": Metric("BRISQUE", 1, "-BRISQUE (points)", negated, math.inf),
}
MAIN_METRIC = "ssimulacra2"

LEARNED_PACKAGES = ("lpips", "piq", "pyiqa")

MetricValues = dict[str, float | None]
Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureQuality:
    """One picture's measures, and what a measure of the whole set (FID) needs of it, if that can be had."""

    values: MetricValues
    original_features: Features | None
    decoded_features: Features | None


def measure_pair(original: Pixels, decoded: Pixels, features: Path | None) -> PictureQuality:
    """Every measure of one picture; None where it cannot be had."""
    values: MetricValues = dict.fromkeys(METRICS)
    values |= {
        "psnr_db": psnr_db(original, decoded),
        "ms_ssim": ms_ssim(original, decoded),
        "ssimulacra2": ssimulacra2(original, decoded),
    }
    if not _has_learned(features):
        return PictureQuality(values=values, original_features=None, decoded_features=None)
    from unicorn_codec.bench.learned_metrics import inception_features, measure_learned

    return PictureQuality(
        values={**values, **measure_learned(original, decoded, features)},
        original_features=inception_features(original),
        decoded_features=inception_features(decoded),
    )


def measure_position(pictures: PictureSet, decoded: Path, features: Path | None, position: int) -> PictureQuality:
    """Measure one picture that a trial decoded; for a process of its own, of which there is one a core."""
    return measure_pair(pictures[position], read_decoded(decoded, position), features)


def _has_learned(features: Path | None) -> bool:
    """Whether any measure may need torch, which takes seconds to load."""
    return features is not None or any(map(importlib.util.find_spec, LEARNED_PACKAGES))


def set_values(rows: Sequence[PictureQuality]) -> MetricValues:
    """Mean of each measure over the pictures, None where a picture has none; and FID."""
    means: MetricValues = {}
    for name in METRICS:
        found = [value for row in rows if (value := row.values[name]) is not None]
        means[name] = float(np.mean(found)) if len(found) == len(rows) else None
    originals = [row.original_features for row in rows if row.original_features is not None]
    decoded = [row.decoded_features for row in rows if row.decoded_features is not None]
    if len(originals) == len(decoded) == len(rows) > 1:
        from unicorn_codec.bench.learned_metrics import frechet_distance

        means["fid"] = frechet_distance(originals, decoded)
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
    if features is not None:
        from unicorn_codec.bench.learned_metrics import learned_measures

        learned_measures(features)
