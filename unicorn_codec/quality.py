"""The scale of ``--quality``: a number from 0 to 100 is the SSIMULACRA2 that photographs reach in the mean.

Measured by ``models/calibrate_quality.py`` on photographs that nothing was trained on. A set may come out some points
above or below; qualities that latents do not reach are had from AVIF.
"""

import math
from itertools import pairwise

QUALITY_OF_STEP = (
    (1.0, 39.8),
    (1.4, 35.8),
    (2.0, 29.1),
    (2.8, 19.2),
    (4.0, 3.9),
    (5.6, -14.2),
    (8.0, -36.0),
    (12.0, -56.2),
)
"""Quantisation steps of the embedded autoencoder's latents, and the quality that each reaches."""

QUALITY_OF_AVIF = (
    (0, -24.0),
    (10, -4.3),
    (20, 15.5),
    (30, 33.2),
    (40, 49.9),
    (49, 62.4),
    (50, 65.3),
    (60, 75.9),
    (70, 83.5),
    (80, 87.5),
    (90, 91.0),
    (100, 94.0),
)
"""Pillow's qualities of AVIF, and the quality that each reaches."""

USUAL_QUALITY = 35.0
"""Near the best that latents reach."""


def step_of_quality(quality: float) -> float | None:
    """The quantisation step that reaches a quality, the coarsest for very low ones; None where no step does."""
    if quality > QUALITY_OF_STEP[0][1]:
        return None
    for (fine, better), (coarse, worse) in pairwise(QUALITY_OF_STEP):
        if quality >= worse:
            return float(fine * math.exp(math.log(coarse / fine) * (better - quality) / (better - worse)))
    return QUALITY_OF_STEP[-1][0]


def avif_quality_of(quality: float) -> int:
    """The quality that Pillow's AVIF is to be given, the nearest that there is."""
    for (low, worse), (high, better) in pairwise(QUALITY_OF_AVIF):
        if quality <= better:
            return max(0, round(low + (high - low) * (quality - worse) / (better - worse)))
    return QUALITY_OF_AVIF[-1][0]
