import pytest

from unicorn_codec.quality import QUALITY_OF_AVIF, QUALITY_OF_STEP, avif_quality_of, quality_of_step, step_of_quality


def test_the_tables_rise_with_what_is_spent() -> None:
    qualities = [quality for _, quality in QUALITY_OF_STEP]
    assert qualities == sorted(qualities, reverse=True) and QUALITY_OF_STEP[0][0] == 1
    assert [quality for _, quality in QUALITY_OF_AVIF] == sorted(quality for _, quality in QUALITY_OF_AVIF)
    assert QUALITY_OF_AVIF[-1][1] > QUALITY_OF_STEP[0][1], "AVIF goes on where latents end"


def test_a_step_reaches_the_quality_that_the_table_says() -> None:
    for step, quality in QUALITY_OF_STEP:
        assert step_of_quality(quality) == pytest.approx(step)
    (fine, better), (coarse, worse) = QUALITY_OF_STEP[:2]
    between = step_of_quality((better + worse) / 2)
    assert between is not None and fine < between < coarse


def test_qualities_off_the_table() -> None:
    assert step_of_quality(QUALITY_OF_STEP[0][1] + 0.1) is None
    assert step_of_quality(-1000) == QUALITY_OF_STEP[-1][0]
    assert (avif_quality_of(-1000), avif_quality_of(1000)) == (0, 100)


def test_avif_is_told_the_nearest_quality() -> None:
    for setting, quality in QUALITY_OF_AVIF:
        assert avif_quality_of(quality) == setting


def test_a_step_tells_the_quality_that_it_reaches() -> None:
    for step, quality in QUALITY_OF_STEP:
        assert quality_of_step(step) == pytest.approx(quality)
    between = step_of_quality(30.0)
    assert between is not None and quality_of_step(between) == pytest.approx(30.0)
    assert (quality_of_step(0.1), quality_of_step(99)) == (QUALITY_OF_STEP[0][1], QUALITY_OF_STEP[-1][1])
