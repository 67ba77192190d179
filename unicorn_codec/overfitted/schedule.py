"""How long a function is trained: candidates, the best of them, then the best one."""

from dataclasses import dataclass

from unicorn_codec.effort import LONG_EFFORT

CANDIDATES, KEPT = 5, 2
CANDIDATE_STEPS, KEPT_STEPS, MAIN_STEPS = 400, 400, 13_100
"""Steps of the full schedule, that of the paper (CLRIC)."""

COMMON_STEPS = 4000
"""Steps of the archive's common function at full effort."""

LEAST_STEPS = 100
"""Least steps of the main training."""

LEAST_CANDIDATE_STEPS = 40
"""Candidates of fewer steps say nothing; there is one then."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of training.

    Args:
        candidates: functions that begin, each with ``candidate_steps``.
        kept: of them, which get ``kept_steps`` more; the best one then gets ``main_steps``.
        common_steps: of the archive's common function.
    """

    candidates: int
    candidate_steps: int
    kept: int
    kept_steps: int
    main_steps: int
    common_steps: int


def schedule_of(effort: int) -> Schedule:
    """Return the schedule of an effort: that many percent of the full one, at most all of it."""
    share = min(effort, LONG_EFFORT) / LONG_EFFORT
    main, common = max(LEAST_STEPS, round(share * MAIN_STEPS)), max(LEAST_STEPS, round(share * COMMON_STEPS))
    first, second = round(share * CANDIDATE_STEPS), round(share * KEPT_STEPS)
    if first < LEAST_CANDIDATE_STEPS:
        return Schedule(1, 0, 1, 0, main, common)
    return Schedule(CANDIDATES, first, KEPT, second, main, common)
