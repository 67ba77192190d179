"""A perceptual distance from the features of a trained network.

It is not LPIPS: its values compare only with each other.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_SIDE = 32
"""Least side of a picture: smaller ones leave nothing for the deepest layers."""


class PerceptualDistance(nn.Module):
    """Squared difference of normalised SqueezeNet 1.1 features after ReLUs 1, 4 and 7, differentiable.

    Args:
        path: safetensors file with keys as in torchvision's ``squeezenet1_1().features``. The input is RGB in [0, 1].

    Raises:
        OSError, SafetensorError, KeyError, RuntimeError: the file is missing or holds something else.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        for name, tensor in load_file(path).items():
            self.register_buffer(_buffer_name(name.removeprefix("features.")), tensor)
        blank = torch.zeros(1, 3, LEAST_SIDE, LEAST_SIDE)
        try:
            self(blank, blank)
        except AttributeError as error:  # raised by a module for a missing buffer
            raise KeyError(str(error)) from error

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the mean over positions and layers, (N,), of two batches (N, 3, H, W) in [0, 1]."""
        pairs = zip(self._layers(a), self._layers(b), strict=True)
        distances = [(F.normalize(x) - F.normalize(y)).square().sum(1).mean((1, 2)) for x, y in pairs]
        return torch.stack(distances).mean(0)

    def _layers(self, pictures: Tensor) -> Iterator[Tensor]:
        """Yield the features after ReLU 1 and after the fire modules 4 and 7."""
        maps = self._convolve("0", pictures, stride=2)
        yield maps
        for fires in (("3", "4"), ("6", "7")):
            maps = F.max_pool2d(maps, 3, 2, ceil_mode=True)
            for fire in fires:
                squeezed = self._convolve(f"{fire}.squeeze", maps)
                narrow = self._convolve(f"{fire}.expand1x1", squeezed)
                maps = torch.cat([narrow, self._convolve(f"{fire}.expand3x3", squeezed, padding=1)], dim=1)
            yield maps

    def _convolve(self, name: str, maps: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = (self.get_buffer(_buffer_name(f"{name}.{part}")) for part in ("weight", "bias"))
        return F.relu(F.conv2d(maps, weight, bias, stride=stride, padding=padding))


def _buffer_name(name: str) -> str:
    return name.replace(".", "_")
