"""The distortions that packing minimises, differentiable: by default squared error and structural similarity of luma
and chroma.

Reported figures come from ``metrics`` instead.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unicorn_codec.transform.ssimulacra2 import ssimulacra2_score

Measure = Callable[[Tensor, Tensor], Tensor]
"""Distortion (N,) of decoded pictures and originals, each (N, 3, H, W) RGB in [-1, 1]."""

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

PRINT_REACH, PRINT_EXPONENT, PRINT_WEIGHT = 4, 4, 4.0
"""Print is where the original's luma has a high contrast within some pixels; the exponent leaves out most edges of
photographs."""

PSNR_WEIGHT, MS_SSIM_WEIGHT, SSIMULACRA2_WEIGHT = 1.2, 1800.0, 1.5
"""Weights of the squared error of RGB, of 1 - MS-SSIM, and of a point of SSIMULACRA2, with which refined codes have
about as many bytes as with ``distortion`` at the same step."""

SLIGHT = 0.02
"""Part of the squared error in the distortions by structure, which alone would let flat areas drift."""

MS_SSIM_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

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
    """Return (N,) the distortion by which codecs are compared: ``distortion`` and ``print_distortion``."""
    return distortion(decoded, original) + print_distortion(decoded, original)


def print_distortion(decoded: Tensor, original: Tensor) -> Tensor:
    """Return (N,) what errors in print and line art count for in addition.

    Networks that know photographs give letters a plausible form rather than their own. Few of a page's pixels belong to
    letters, so its mean error shows little of that.

    Args:
        decoded, original: (N, 3, H, W) RGB in [-1, 1].
    """
    shown, luma = as_ycbcr(decoded)[:, :1], as_ycbcr(original)[:, :1]
    side = 2 * PRINT_REACH + 1
    contrast = (F.max_pool2d(luma, side, 1, PRINT_REACH) + F.max_pool2d(-luma, side, 1, PRINT_REACH)) / 2
    fine = ((shown - luma).square() * contrast**PRINT_EXPONENT).mean((1, 2, 3)) * 127.5**2
    return PRINT_WEIGHT * fine


def as_ycbcr(pictures: Tensor) -> Tensor:
    """Convert (N, 3, H, W) RGB in [-1, 1] to Y, Cb and Cr in [-1, 1]."""
    red, green, blue = pictures.unbind(1)  # a weight matrix would be copied to the GPU and block until then
    return torch.stack([r * red + g * green + b * blue for r, g, b in YCBCR], 1)


def squared_error(decoded: Tensor, original: Tensor) -> Tensor:
    """Return (N,) the distortion that ``--metric psnr`` minimises: the squared error of RGB."""
    return PSNR_WEIGHT * (decoded - original).square().mean((1, 2, 3)) * 127.5**2


def dissimilarity(decoded: Tensor, original: Tensor) -> Tensor:
    """Return (N,) the distortion that ``--metric ms-ssim`` minimises: 1 - MS-SSIM, of RGB and from full size on."""
    similar = ms_ssim_of(decoded / 2 + 0.5, original / 2 + 0.5)
    return MS_SSIM_WEIGHT * (1 - similar) + SLIGHT * squared_error(decoded, original)


def perceptual_distortion(decoded: Tensor, original: Tensor) -> Tensor:
    """Return (N,) the distortion that ``--metric perceptual`` minimises: the points of SSIMULACRA2 that are lost."""
    lost = 100 - ssimulacra2_score(decoded, original)
    return SSIMULACRA2_WEIGHT * lost + SLIGHT * squared_error(decoded, original)


MEASURES: Mapping[str, Measure] = {
    "psnr": squared_error,
    "ms-ssim": dissimilarity,
    "perceptual": perceptual_distortion,
}
"""By the names of ``config.METRICS``."""


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the multi-scale structural similarity (Wang et al., 2003) without full size, differentiable.

    Args:
        a, b: (N, C, H, W) in [0, 1]. In a small picture only those scales count that an 11-tap window fits into; if
            there is none the result is 1.

    Returns:
        (N, C).
    """
    if min(a.shape[2:]) < 2:
        return torch.ones(a.shape[:2], device=a.device)
    return _multi_scale(F.avg_pool2d(a, 2), F.avg_pool2d(b, 2), SCALE_EXPONENTS)


def ms_ssim_of(a: Tensor, b: Tensor) -> Tensor:
    """Return (N,) the multi-scale structural similarity (Wang et al., 2003), the mean over channels.

    Args:
        a, b: (N, C, H, W) in [0, 1]; scales as in ``structural_similarity``.
    """
    return _multi_scale(a, b, MS_SSIM_EXPONENTS).mean(1)


def _multi_scale(a: Tensor, b: Tensor, exponents: Sequence[float]) -> Tensor:
    """Return (N, C) the similarity of planes at their own size, at half of it, and so on, one scale an exponent."""
    weights = exponents[: sum(min(a.shape[2:]) >> scale >= WINDOW_TAPS for scale in range(len(exponents)))]
    offsets = torch.arange(11.0, device=a.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    planes = 5 * a.shape[1]
    window = (window / window.sum()).expand(planes, 1, 1, 11)
    result = torch.ones(a.shape[:2], device=a.device)
    for scale, weight in enumerate(weights, start=1):
        if scale > 1:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
        stacked = F.conv2d(F.conv2d(stacked, window, groups=planes), window.transpose(2, 3), groups=planes)
        mean_a, mean_b, aa, bb, ab = stacked.chunk(5, 1)
        var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
        similarity = (2 * cov + 0.0009) / (var_a + var_b + 0.0009)
        if scale == len(weights):
            similarity = similarity * (2 * mean_a * mean_b + 0.0001) / (mean_a**2 + mean_b**2 + 0.0001)
        result = result * similarity.mean((2, 3)).clamp_min(1e-3) ** (weight / sum(weights))
    return result
