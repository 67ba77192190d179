"""Halving and doubling of pictures, for codes at half size."""

import torch
import torch.nn.functional as F
from torch import Tensor


def halve(pictures: Tensor) -> Tensor:
    """Halve width and height. An odd side is rounded up.

    Args:
        pictures: (N, H, W, 3) uint8.

    Returns:
        (N, ceil(H / 2), ceil(W / 2), 3) uint8.
    """
    height, width = pictures.shape[1:3]
    planes = F.pad(pictures.permute(0, 3, 1, 2).float(), (0, width % 2, 0, height % 2), mode="replicate")
    halves = F.interpolate(planes, scale_factor=0.5, mode="bicubic", antialias=True)
    return halves.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def double(pictures: Tensor) -> Tensor:
    """Double width and height as the format defines it: cubic convolution with a = -3/4.

    Args:
        pictures: (N, 3, h, w).

    Returns:
        (N, 3, 2 h, 2 w).
    """
    return F.interpolate(pictures, scale_factor=2, mode="bicubic", align_corners=False)
