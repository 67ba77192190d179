"""Metrics by trained networks whose weights are on this machine already. Nothing is downloaded.

Distances compare a picture with its original, no-reference metrics judge the decoded picture alone, and the Fréchet
and kernel distances compare two sets.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from unicorn_codec.bench.judge import judge_is_here, load_judge, pooled_windows
from unicorn_codec.bench.perceptual import LEAST_SIDE, PerceptualDistance
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.pictures.pixels import Pixels

Measure = Callable[[Tensor, Tensor], Tensor]
"""Maps the original and the decoded picture, (1, 3, H, W) in [0, 1], to one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Source of a metric: a package, and its files of weights as patterns below ``weights_folders``."""

    package: str
    weights: tuple[str, ...]
    build: Callable[[Any], Measure] = field(repr=False)

    @property
    def is_here(self) -> bool:
        """Whether the package is installed and all its weights are on this machine."""
        return importlib.util.find_spec(self.package) is not None and all(map(find_weights, self.weights))


def weights_folders() -> tuple[Path, ...]:
    """Return the folders where the packages keep downloaded weights."""
    hub = Path(torch.hub.get_dir())
    return hub / "checkpoints", hub / "pyiqa", Path("~/.cache/clip").expanduser()


def find_weights(pattern: str) -> bool:
    return any(any(folder.glob(pattern)) for folder in weights_folders())


def _of_decoded(network: Any) -> Measure:
    return lambda original, decoded: network(decoded)


def _lpips(lpips: Any) -> Measure:
    network = lpips.LPIPS(net="alex", verbose=False).eval()
    return lambda original, decoded: network(original, decoded, normalize=True)


SOURCES: Mapping[str, Source] = {
    "lpips": Source(package="lpips", weights=("alexnet-*.pth",), build=_lpips),
    "dists": Source(package="piq", weights=("dists_weights*.pt", "vgg16-*.pth"), build=lambda piq: piq.DISTS()),
    "clip_iqa": Source(
        package="piq", weights=("RN50.pt", "clipiqa_tokens.pt"), build=lambda piq: _of_decoded(piq.CLIPIQA())
    ),
    "niqe": Source(
        package="pyiqa",
        weights=("niqe_modelparameters.mat",),
        build=lambda pyiqa: _of_decoded(pyiqa.create_metric("niqe")),
    ),
    "brisque": Source(package="piq", weights=("brisque_svm_weights*.pt",), build=lambda piq: _of_decoded(piq.brisque)),
}
INCEPTION = Source(
    package="piq",
    weights=("pt_inception-2015-12-05-*.pth",),
    build=lambda piq: importlib.import_module("piq.feature_extractors").InceptionV3().eval(),
)


@cache
def learned_measures(features: Path | None) -> Mapping[str, Measure]:
    """Return the available metrics of a picture by name.

    Args:
        features: file of SqueezeNet features, for the perceptual distance.

    Raises:
        InvalidSetting: the file of features cannot be used.
    """
    found: dict[str, Measure] = {}
    if features is not None:
        try:
            found["perceptual_distance"] = PerceptualDistance(features)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise InvalidSetting(f"{features} does not hold SqueezeNet 1.1 features ({error})") from error
    here = {name: source for name, source in SOURCES.items() if source.is_here}
    return found | {name: source.build(importlib.import_module(source.package)) for name, source in here.items()}


def measure_learned(original: Pixels, decoded: Pixels, features: Path | None) -> dict[str, float | None]:
    """Measure a picture by every available metric. Returns nothing for one with a side below ``LEAST_SIDE``."""
    if min(original.shape[:2]) < LEAST_SIDE:
        return {}
    a, b = planes_of(original), planes_of(decoded)
    with torch.inference_mode():
        return {name: float(measure(a, b)) for name, measure in learned_measures(features).items()}


def inception_features(pixels: Pixels) -> NDArray[np.float64] | None:
    """Return the features that the Fréchet distance compares, (2048,), or None if they are not available."""
    network = _inception()
    if network is None or min(pixels.shape[:2]) < LEAST_SIDE:
        return None
    with torch.inference_mode():
        return np.asarray(network(planes_of(pixels))[0].flatten(), np.float64)


def judged(original: Pixels, decoded: Pixels) -> tuple[float, NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the judge distance of a picture, and the features of both versions that KID compares, (windows, 1280).

    None if the judge is not installed, or the picture has a side below ``LEAST_SIDE``.
    """
    if not judge_is_here() or min(original.shape[:2]) < LEAST_SIDE:
        return None
    with torch.inference_mode():
        distance, before, after = load_judge().compare(planes_of(original), planes_of(decoded))
        return float(distance), pooled_windows(before), pooled_windows(after)


@cache
def _inception() -> Any | None:
    return INCEPTION.build(importlib.import_module(INCEPTION.package)) if INCEPTION.is_here else None


def frechet_distance(first: Sequence[NDArray[np.float64]], second: Sequence[NDArray[np.float64]]) -> float:
    """Return the Fréchet distance (FID) of two sets of features, assumed to be normally distributed.

    Each has two or more.

    With fewer pictures than features it depends on their number: compare only values of equally many pictures.
    """
    a, b = np.stack(first), np.stack(second)
    shift = a.mean(0) - b.mean(0)
    a, b = ((x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b))
    # tr sqrt(A'A B'B), the term of both covariances, is the sum of the singular values of A B'.
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(shift @ shift + np.square(a).sum() + np.square(b).sum() - 2 * shared)


def planes_of(pixels: Pixels) -> Tensor:
    """Convert pixels to (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / 255)[None]
