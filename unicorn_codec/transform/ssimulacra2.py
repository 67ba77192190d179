"""SSIMULACRA2 of pictures, differentiable: what the perceptual metric minimises, and bits are allocated by.

Sneyers, 2023 (Cloudinary, in libjxl): structure, artifacts and lost detail at up to six scales of a perceptual colour
space. Terms of hundredths of a point are left out. Reported figures come from the package ``ssimulacra2`` instead. It
weighs the scales of pictures with a side below 225 pixels, which have fewer than six, as if they were others.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_SIDE = 8
"""Side in pixels below which a scale, or a picture, has no score."""

OPSIN = ((0.30, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342268924547819, 0.20476744424496821, 0.5518098665095536))
BIAS = 0.0037930732552754493
"""Linear RGB to the responses of the eye's cones, which are then compressed by a cube root."""

STRUCTURE_FLOOR = 0.0009
SIGMA, TAPS = 1.5, 11


class Weights(NamedTuple):
    """Weights of one channel at one scale: of the mean and of the fourth norm of each map."""

    structure: tuple[float, float] = (0.0, 0.0)
    artifacts: tuple[float, float] = (0.0, 0.0)
    lost_detail: tuple[float, float] = (0.0, 0.0)


WEIGHTS: dict[int, tuple[Weights, Weights, Weights]] = {
    0: (Weights(), Weights((0.0, 7.466890328078848), lost_detail=(0.0, 17.445833984131262)), Weights()),
    1: (
        Weights((0.0, 1.1041726426657346)),
        Weights((0.0, 6.683678146179332), lost_detail=(0.0, 1.027889937768264)),
        Weights(),
    ),
    2: (
        Weights((0.0, 1.8422455520539298), (0.0, 11.441172603757666)),
        Weights((225.20515300849274, 19.213238186143016)),
        Weights(),
    ),
    3: (
        Weights((0.0, 1.8787594979546387), (0.0, 10.94906990605142)),
        Weights((176.39317598450694, 24.43300999870476), (0.0, 0.28520802612117757)),
        Weights((0.0, 8.826982764996862), (0.0, 23.19243343998926)),
    ),
    4: (
        Weights(artifacts=(0.9677937080626833, 0.9981766977854967)),
        Weights((0.0, 34.77906344483772), (0.0, 44.835625328877896)),
        Weights(
            (95.1080498811086, 0.0), (0.9863978034400682, 171.2667255897307), (0.9834382792465353, 0.9807858872435379)
        ),
    ),
}
"""By scale, from full size on in powers of two; by channel X, Y and B - Y. The sixth scale has none."""

GAIN, POLYNOMIAL, EXPONENT = (
    0.9562382616834844,
    (2.326765642916932, -0.020884521182843837, 6.248496625763138e-05),
    0.6276336467831387,
)
"""From the weighted sum to the loss of 10 x^e points."""


def ssimulacra2_score(decoded: Tensor, original: Tensor) -> Tensor:
    """Return (N,) scores: 100 of equal pictures, below 30 of poor ones; 100 where a side is below ``LEAST_SIDE``.

    Args:
        decoded, original: (N, 3, H, W) RGB in [-1, 1].
    """
    pair = _linear(torch.cat([decoded, original]))
    total = torch.zeros(len(decoded), device=decoded.device)
    for scale, weights in WEIGHTS.items():
        if min(pair.shape[2:]) < LEAST_SIDE:
            break
        if scale:
            pair = F.avg_pool2d(pair, 2, ceil_mode=True, count_include_pad=False)
            if min(pair.shape[2:]) < LEAST_SIDE:
                break
        shown, true = _xyb(pair).chunk(2)
        total = total + _weighted(shown, true, weights)
    total = total * GAIN
    first, second, third = POLYNOMIAL
    loss = first * total + second * total**2 + third * total**3
    return 100 - 10 * loss.clamp_min(1e-6) ** EXPONENT


def _linear(pictures: Tensor) -> Tensor:
    """Convert sRGB in [-1, 1] to linear light in [0, 1]."""
    values = (pictures / 2 + 0.5).clamp(0, 1)
    return torch.where(values <= 0.04045, values / 12.92, ((values.clamp_min(0.04) + 0.055) / 1.055) ** 2.4)


def _xyb(linear: Tensor) -> Tensor:
    """Convert linear RGB (N, 3, H, W) to X, Y and B - Y in about [0, 1]."""
    red, green, blue = linear.unbind(1)
    long, middle, short = ((r * red + g * green + b * blue + BIAS) ** (1 / 3) - BIAS ** (1 / 3) for r, g, b in OPSIN)
    x, y = (long - middle) / 2, (long + middle) / 2
    return torch.stack([14 * x + 0.42, y + 0.01, short - y + 0.55], 1)


def _weighted(decoded: Tensor, original: Tensor, weights: tuple[Weights, Weights, Weights]) -> Tensor:
    """Return (N,) the weighted sum of a scale's maps, of pictures (N, 3, H, W)."""
    planes = torch.cat([decoded, original, decoded**2, original**2, decoded * original], 1)
    shown, true, shown2, true2, both = _blurred(planes).chunk(5, 1)
    covariance, variances = both - shown * true, shown2 - shown**2 + true2 - true**2
    luminance = 1 - (shown - true) ** 2
    structure = 1 - luminance * (2 * covariance + STRUCTURE_FLOOR) / (variances + STRUCTURE_FLOOR)
    edges = (1 + (decoded - shown).abs()) / (1 + (original - true).abs()) - 1
    maps = structure.clamp_min(0), edges.clamp_min(0), (-edges).clamp_min(0)
    total = torch.zeros(len(decoded), device=decoded.device)
    for channel, of_channel in enumerate(weights):
        for plane, (of_mean, of_norm) in zip(maps, of_channel, strict=True):
            values = plane[:, channel]
            if of_mean:
                total = total + of_mean * values.mean((1, 2))
            if of_norm:
                total = total + of_norm * ((values**4).mean((1, 2)) + 1e-20) ** 0.25
    return total


def _blurred(planes: Tensor) -> Tensor:
    """Blur planes (N, C, H, W), as if black lay on the left and on the right, and mirror images above and below."""
    reach, channels = TAPS // 2, planes.shape[1]
    offsets = torch.arange(float(TAPS), device=planes.device) - reach
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = (window / window.sum()).expand(channels, 1, 1, TAPS)
    mirrored = torch.cat([planes[:, :, :reach].flip(2), planes, planes[:, :, -reach:].flip(2)], 2)
    along = F.conv2d(mirrored, window.transpose(2, 3), groups=channels)
    return F.conv2d(along, window, groups=channels, padding=(0, reach))
