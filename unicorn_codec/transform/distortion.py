"""The distortion that packing minimises: squared error and structural similarity of luma and chroma, differentiable.

Reported figures come from ``metrics`` instead.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE_EXPONENTS = (0.18, 0.36, 0.30, 0.16)
"""Exponents of the structural similarity at 1/2, 1/4, 1/8 and 1/16 of the size.

Photographs refined with these had a higher PSNR and SSIMULACRA2 than with the exponents of MS-SSIM, which give
1/2 size more weight, but a worse perceptual distance. Full size takes most of the time, and has almost no weight in
MS-SSIM.
"""

WINDOW_TAPS = 11

SQUARED_ERRORS = (0.45, 0.9, 0.9)
STRUCTURES = (2500.0, 330.0, 330.0)
"""Weights of the squared errors of Y, Cb and Cr, and of their 1 - ``structural_similarity``.

Photographs refined with these weights had a better PSNR, MS-SSIM, SSIMULACRA2 and perceptual distance than with half
the squared error and no structure of chroma. More structure trades PSNR for MS-SSIM and changes SSIMULACRA2 little.
"""

PRINT_REACH, PRINT_EXPONENT, PRINT_WEIGHT = 4, 4, 2.0
"""Print is where the original's luma has a high contrast within some pixels; the exponent leaves out most edges of
photographs."""

YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""RGB to YCbCr, BT.601."""


def distortion(decoded: Tensor, original: Tensor, *, structures: Sequence[float] = STRUCTURES) -> Tensor:
    """Return the distortion of each picture, (N,), in units of squared error on the scale of 0 to 255.

    Args:
        decoded, original: (N, 3, H, W) RGB in [-1, 1]. Where a side is below 22, only squared errors count.
        structures: weights of 1 - ``structural_similarity`` of Y, Cb and Cr.
    """
    decoded, original = as_ycbcr(decoded), as_ycbcr(original)
    squared = (decoded - original).square().mean((2, 3)) * 127.5**2
    dissimilar = 1 - structural_similarity(decoded / 2 + 0.5, original / 2 + 0.5)
    weighed = zip((*SQUARED_ERRORS, *structures), [*squared.unbind(1), *dissimilar.unbind(1)], strict=True)
    return torch.stack([weight * part for weight, part in weighed]).sum(0)


def judged_distortion(decoded: Tensor, original: Tensor) -> Tensor:
    """Return (N,) the distortion by which codecs are compared: squared errors count more in print and line art.

    Networks that know photographs give letters a plausible form rather than their own. Few of a page's pixels belong to
    letters, so its mean error shows little of that.

    Args:
        decoded, original: (N, 3, H, W) RGB in [-1, 1].
    """
    shown, luma = as_ycbcr(decoded)[:, :1], as_ycbcr(original)[:, :1]
    side = 2 * PRINT_REACH + 1
    contrast = (F.max_pool2d(luma, side, 1, PRINT_REACH) + F.max_pool2d(-luma, side, 1, PRINT_REACH)) / 2
    fine = ((shown - luma).square() * contrast**PRINT_EXPONENT).mean((1, 2, 3)) * 127.5**2
    return distortion(decoded, original) + PRINT_WEIGHT * fine


def as_ycbcr(pictures: Tensor) -> Tensor:
    """Convert (N, 3, H, W) RGB in [-1, 1] to Y, Cb and Cr in [-1, 1]."""
    red, green, blue = pictures.unbind(1)  # a weight matrix would be copied to the GPU and block until then
    return torch.stack([r * red + g * green + b * blue for r, g, b in YCBCR], 1)


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the multi-scale structural similarity (Wang et al., 2003) without full size, differentiable.

    Args:
        a, b: (N, C, H, W) in [0, 1]. In a small picture only those scales count that an 11-tap window fits into; if
            there is none the result is 1.

    Returns:
        (N, C).
    """
    scales = sum(min(a.shape[2:]) >> scale >= WINDOW_TAPS for scale in range(1, 1 + len(SCALE_EXPONENTS)))
    weights = SCALE_EXPONENTS[:scales]
    offsets = torch.arange(11.0, device=a.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    planes = 5 * a.shape[1]
    window = (window / window.sum()).expand(planes, 1, 1, 11)
    result = torch.ones(a.shape[:2], device=a.device)
    for scale, weight in enumerate(weights, start=1):
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
        stacked = F.conv2d(F.conv2d(stacked, window, groups=planes), window.transpose(2, 3), groups=planes)
        mean_a, mean_b, aa, bb, ab = stacked.chunk(5, 1)
        var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
        similarity = (2 * cov + 0.0009) / (var_a + var_b + 0.0009)
        if scale == scales:
            similarity = similarity * (2 * mean_a * mean_b + 0.0001) / (mean_a**2 + mean_b**2 + 0.0001)
        result = result * similarity.mean((2, 3)).clamp_min(1e-3) ** (weight / sum(weights))
    return result
