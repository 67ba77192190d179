"""Distances between pictures by trained networks whose weights are on this machine. Nothing is downloaded."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from unicorn_codec.errors import InvalidSetting
from unicorn_codec.images import Pixels

Distance = Callable[[Pixels, Pixels], float | None]
LEAST_SIDE = 32
"""Smaller pictures leave the deepest layers nothing to look at."""


@cache
def learned_distances(features: Path | None) -> dict[str, Distance]:
    """Return the distances that can be had, by name.

    Raises:
        InvalidSetting: the file of features cannot be used.
    """
    found: dict[str, Distance] = {}
    if features is not None:
        found["perceptual_distance"] = PerceptualDistance(features)
    if _is_here("lpips", "alexnet-*.pth"):
        network = importlib.import_module("lpips").LPIPS(net="alex", verbose=False).eval()
        found["lpips"] = _between_planes(lambda a, b: network(a, b, normalize=True))
    if _is_here("piq", "dists_weights*.pt", "vgg16-*.pth"):
        found["dists"] = _between_planes(importlib.import_module("piq").DISTS())
    return found


class PerceptualDistance:
    """Squared difference of normalised SqueezeNet 1.1 features after ReLUs 1, 4 and 7. It is not LPIPS.

    Args:
        path: safetensors, keys as in torchvision's ``squeezenet1_1().features``; the input is RGB in [0, 1].

    Raises:
        InvalidSetting: the file is missing or holds something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tensors = {name.removeprefix("features."): tensor for name, tensor in load_file(path).items()}
            blank = np.zeros((LEAST_SIDE, LEAST_SIDE, 3), np.uint8)
            self(blank, blank)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise InvalidSetting(f"{path} does not hold SqueezeNet 1.1 features ({error})") from error

    def __call__(self, original: Pixels, decoded: Pixels) -> float | None:
        """Mean over positions and layers; None where a side is below ``LEAST_SIDE``."""
        if min(original.shape[:2]) < LEAST_SIDE:
            return None
        with torch.inference_mode():
            pairs = zip(self._layers(_planes(original)), self._layers(_planes(decoded)), strict=True)
            distances = [(F.normalize(a) - F.normalize(b)).square().sum(1).mean() for a, b in pairs]
            return float(torch.stack(distances).mean())

    def _layers(self, planes: Tensor) -> Iterator[Tensor]:
        """Features after ReLU 1, and after the fire modules 4 and 7."""
        maps = self._convolve("0", planes, stride=2)
        yield maps
        for fires in (("3", "4"), ("6", "7")):
            maps = F.max_pool2d(maps, 3, 2, ceil_mode=True)
            for fire in fires:
                squeezed = self._convolve(f"{fire}.squeeze", maps)
                narrow = self._convolve(f"{fire}.expand1x1", squeezed)
                maps = torch.cat([narrow, self._convolve(f"{fire}.expand3x3", squeezed, padding=1)], dim=1)
            yield maps

    def _convolve(self, name: str, maps: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return F.relu(F.conv2d(maps, weight, bias, stride=stride, padding=padding))


def _planes(pixels: Pixels) -> Tensor:
    """(1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / 255)[None]


def _between_planes(network: Any) -> Distance:
    def distance(original: Pixels, decoded: Pixels) -> float | None:
        if min(original.shape[:2]) < LEAST_SIDE:
            return None
        with torch.inference_mode():
            return float(network(_planes(original), _planes(decoded)))

    return distance


def _is_here(package: str, *weights: str) -> bool:
    """Whether a package is installed and torch's folder of downloads holds a file for each of its patterns."""
    if importlib.util.find_spec(package) is None:
        return False
    downloads = Path(torch.hub.get_dir()) / "checkpoints"
    return all(any(downloads.glob(pattern)) for pattern in weights)
