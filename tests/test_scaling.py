"""Archives of different sizes at equal quality: the same pictures, with a searched quantisation step."""

import math
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from benchmarks.scaling import TRIALS, is_done, next_step, parts_of, rate_table


def trial(rate: float, psnr_db: float, step: float = 2.0, archives: int = 1) -> dict[str, Any]:
    rows = [{"bits_per_pixel": rate}] * archives
    return {"archives": rows, "is_complete": True, "step": step, "bits_per_pixel": rate, "psnr_db": psnr_db}


@pytest.mark.parametrize("count", [2, 3, 6])
def test_every_picture_is_in_one_archive_of_each_count(count: int) -> None:
    parts = parts_of(6, count, None)
    assert sorted(position for part in parts for position in part) == list(range(6))
    assert {len(part) for part in parts} == {count}


def test_the_number_of_archives_can_be_limited() -> None:
    assert len(parts_of(1000, 125, 2)) == 2


def test_the_step_is_found_within_the_trials() -> None:
    """Searches on a codec that loses about 3 dB per octave, slightly more at coarser steps."""

    def psnr_db(step: float) -> float:
        return 36 - 3 * math.log2(step) - 0.2 * math.log2(step) ** 2

    whole, trials = [trial(0.1, 28.0)], [trial(0.1, psnr_db(4.0), 4.0)]
    while not is_done(trials, whole, 0.03):
        step = next_step(trials, 28.0)
        trials.append(trial(0.1, psnr_db(step), step))
    assert abs(trials[-1]["psnr_db"] - 28.0) <= 0.03
    assert len(trials) <= 5 < TRIALS


def test_an_unreachable_quality_ends_the_search() -> None:
    assert next_step([trial(0.1, 20.0, 1.0)], 28.0) == 1.0
    assert is_done([trial(0.1, 20.0, 1.0), trial(0.1, 20.0, 1.0)], [trial(0.1, 28.0)], 0.03)


def test_the_table_takes_the_nearest_trial_and_compares_with_half_as_many() -> None:
    by_count = {"250": [trial(0.3, 27.9), trial(0.2, 27.0, archives=2)], "500": [trial(0.15, 27.0)]}
    assert rate_table({"cats": by_count}).splitlines()[2:] == [
        "| cats | 250 | 2 | 0.2000 | 27.00 | — |",
        "| cats | 500 | 1 | 0.1500 | 27.00 | -25.0 % |",
    ]
