"""Resolution of a target to a plan: a step, a size to fit, or AVIF for all pictures."""

import math
from dataclasses import dataclass

from unicorn_codec.config import Goal, Target
from unicorn_codec.format.fields import check
from unicorn_codec.packing.refinement import LAMBDA_PER_SQUARED_STEP
from unicorn_codec.quality import avif_quality_of, step_of_quality


@dataclass(frozen=True, slots=True)
class AtStep:
    """Code at a quantisation step."""

    step: float


@dataclass(frozen=True, slots=True)
class OfSize:
    """Find the step for a file size in bytes."""

    bytes: float


@dataclass(frozen=True, slots=True)
class AsAvif:
    """Store all pictures as AVIF at a quality, because codes do not reach the target."""

    quality: int


def resolve(target: Target, *, pixels: int, coarsest: float) -> AtStep | OfSize | AsAvif:
    """Decide how to reach a target.

    Args:
        pixels: total of all pictures.
        coarsest: coarsest available step.

    Raises:
        InvalidSetting: the requested step is too coarse.
    """
    value = target.value
    match target.goal:
        case Goal.RATE:
            return OfSize(value * pixels / 8)
        case Goal.SIZE:
            return OfSize(value)
        case Goal.STEP:
            check(value <= coarsest, f"the quantisation step is at most {coarsest:g}, not {value:g}")
            return AtStep(value)
        case Goal.RD_LAMBDA:
            return AtStep(min(max(1.0, math.sqrt(value / LAMBDA_PER_SQUARED_STEP)), coarsest))
        case Goal.QUALITY:
            step = step_of_quality(value)
            return AsAvif(avif_quality_of(value)) if step is None else AtStep(step)
