"""The structural part of a training loss; ``metrics`` holds the measure that results are told in."""

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363)
WINDOW_TAPS = 11


def ms_ssim(a: Tensor, b: Tensor, *, without: int = 0) -> Tensor:
    """Multi-scale SSIM (Wang et al., 2003) of small cuts, differentiable: the first four scales, or those that fit.

    Args:
        a, b: (N, 3, H, W) in [0, 1], no side below 11.
        without: so many of the finest scales, which take most of the time and weigh least.

    Returns:
        (N,).
    """
    scales = sum(min(a.shape[2:]) >> scale >= WINDOW_TAPS for scale in range(len(SCALE_WEIGHTS)))
    weights = torch.tensor(SCALE_WEIGHTS[:scales])
    weights = weights / weights[without:].sum()
    offsets = torch.arange(11.0, device=a.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).expand(15, 1, 1, 11)
    result = torch.ones(len(a), device=a.device)
    for scale, weight in enumerate(weights.tolist(), start=1):
        if scale <= without:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
            continue
        stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
        stacked = F.conv2d(F.conv2d(stacked, window, groups=15), window.transpose(2, 3), groups=15)
        mean_a, mean_b, aa, bb, ab = stacked.chunk(5, 1)
        var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
        similarity = (2 * cov + 0.0009) / (var_a + var_b + 0.0009)
        if scale == scales:
            similarity = similarity * (2 * mean_a * mean_b + 0.0001) / (mean_a**2 + mean_b**2 + 0.0001)
        result = result * similarity.mean((1, 2, 3)).clamp_min(1e-3) ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return result
