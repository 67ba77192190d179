"""The scale of ``--quality``: a number from 0 to 100 is the mean SSIMULACRA2 that photographs reach.

The tables were measured by ``models/calibrate_quality.py --pictures 16`` on photographs outside the autoencoder's
training set, with twelve rounds of refinement and the model ``photo-1``. Sets may come out some points above or
below. Qualities beyond the reach of latents are stored as AVIF.
"""

import math
from itertools import pairwise

QUALITY_OF_STEP = (
    (1.0, 60.2),
    (1.4, 57.0),
    (2.0, 51.6),
    (2.8, 43.0),
    (4.0, 31.5),
    (5.6, 17.0),
    (8.0, -1.8),
    (12.0, -24.5),
)
"""Quantisation steps of the packaged autoencoder's latents, and the quality that each reaches."""

QUALITY_OF_AVIF = (
    (0, -23.5),
    (10, -4.5),
    (20, 15.2),
    (30, 32.9),
    (40, 49.5),
    (49, 62.1),
    (50, 64.9),
    (60, 75.4),
    (70, 83.5),
    (80, 87.5),
    (90, 91.0),
    (100, 94.1),
)
"""Quality settings of Pillow's AVIF encoder, and the quality that each reaches."""

DEFAULT_QUALITY = 55.0
"""Default of ``--quality``, a little below the best that latents reach."""


def step_of_quality(quality: float) -> float | None:
    """Return the quantisation step that reaches a quality. None if no step is fine enough; very low qualities get the
    coarsest step."""
    if quality > QUALITY_OF_STEP[0][1]:
        return None
    for (fine, better), (coarse, worse) in pairwise(QUALITY_OF_STEP):
        if quality >= worse:
            return float(fine * math.exp(math.log(coarse / fine) * (better - quality) / (better - worse)))
    return QUALITY_OF_STEP[-1][0]


def avif_quality_of(quality: float) -> int:
    """Return the setting of Pillow's AVIF encoder that comes closest to a quality."""
    for (low, worse), (high, better) in pairwise(QUALITY_OF_AVIF):
        if quality <= better:
            return max(0, round(low + (high - low) * (quality - worse) / (better - worse)))
    return QUALITY_OF_AVIF[-1][0]


def quality_of_step(step: float) -> float:
    """Return the quality that a quantisation step reaches. The inverse of ``step_of_quality``."""
    for (fine, better), (coarse, worse) in pairwise(QUALITY_OF_STEP):
        if step <= coarse:
            return better + (worse - better) * max(0.0, math.log(step / fine)) / math.log(coarse / fine)
    return QUALITY_OF_STEP[-1][1]
