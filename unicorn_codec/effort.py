"""Effort: in how many rounds packing refines codes, and how many it takes by default."""

MAX_EFFORT = 1000

SHORT_EFFORT = 4
RANDOM_EFFORT = 40
"""From this many rounds on, refinement also searches at random. Counts between the two hardly gain anything."""

LONG_EFFORT = 100
"""The most rounds that a time budget or a GPU's default asks for: further ones gain little."""

DEFAULT_EFFORT = {"cpu": SHORT_EFFORT, "cuda": LONG_EFFORT}
"""Default rounds, by kind of device."""

FUNCTION_EFFORT = {"cpu": 12, "cuda": 100}
"""Percent of the full training of overfitted functions that is the default, by kind of device."""

LEAST_EFFORT = 3
"""Default rounds however large a folder is. Two gain four fifths as much, for little less time."""

DEFAULT_ROUND_PIXELS = {"cpu": 320_000_000, "cuda": 20_000_000_000}
"""Limit of pixels x rounds above which the default is ``LEAST_EFFORT``: about 25 minutes on two cores without bfloat16,
1 minute on an H200."""


def worthwhile_rounds(rounds: int) -> int:
    """Return the largest worthwhile count of refinement rounds that is at most ``rounds``."""
    return min(rounds, LONG_EFFORT) if rounds >= RANDOM_EFFORT else min(rounds, SHORT_EFFORT)


def avif_speed(rounds: int | None) -> int:
    """Return the speed of the AVIF encoder, 0 (slow and small) to 10, that goes with rounds of refinement; None: the
    default.

    On scanned print, speed 2 saves a few per cent of speed 4 in twice its time. Speed 0 saves more, in six times that,
    but made some clean pages half as large again.
    """
    return 4 if rounds == 0 else 2


def default_effort(pixels: int, device: str) -> int:
    """Return the default rounds for a folder of ``pixels`` pixels in all on a kind of device."""
    rounds = min(DEFAULT_EFFORT[device], DEFAULT_ROUND_PIXELS[device] // pixels)
    return max(LEAST_EFFORT, worthwhile_rounds(rounds))
