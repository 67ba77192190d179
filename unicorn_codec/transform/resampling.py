"""Halving and doubling of pictures, for codes at half size."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unicorn_codec.transform.spans import spans

BAND_PIXELS = 1 << 20
"""Pixels of a picture that are halved together, which bounds memory."""

_REACH = 2
"""Rows of the halves on each side of a band whose pixels it depends on."""

DOUBLING_REACH = 2
"""Rows on each side of a row that its two depend on when pictures are doubled."""


def halve(pictures: Tensor) -> Tensor:
    """Halve width and height. An odd side is rounded up.

    Args:
        pictures: (N, H, W, 3) uint8.

    Returns:
        (N, ceil(H / 2), ceil(W / 2), 3) uint8.
    """
    count, height, width = pictures.shape[:3]
    halves = torch.empty(count, -(-height // 2), -(-width // 2), 3, dtype=torch.uint8)
    for band in spans(halves.shape[1], max(1, BAND_PIXELS // (2 * width)), _REACH):
        planes = pictures[:, band.input(2)].permute(0, 3, 1, 2).float()
        planes = F.pad(planes, (0, width % 2, 0, planes.shape[2] % 2), mode="replicate")
        made = F.interpolate(planes, scale_factor=0.5, mode="bicubic", antialias=True)[:, :, band.cropped(1)]
        halves[:, band.output(1)] = made.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return halves


def double(pictures: Tensor) -> Tensor:
    """Double width and height as the format defines it: cubic convolution with a = -3/4.

    Args:
        pictures: (N, 3, h, w).

    Returns:
        (N, 3, 2 h, 2 w).
    """
    return F.interpolate(pictures, scale_factor=2, mode="bicubic", align_corners=False)
