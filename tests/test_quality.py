import pytest

from unicorn_codec.quality import QUALITY_OF_AVIF, QUALITY_OF_STEP, avif_quality_of, quality_of_step, step_of_quality


def test_quality_rises_with_the_bytes_spent() -> None:
    qualities = [quality for _, quality in QUALITY_OF_STEP]
    assert qualities == sorted(qualities, reverse=True) and QUALITY_OF_STEP[0][0] == 1
    assert [quality for _, quality in QUALITY_OF_AVIF] == sorted(quality for _, quality in QUALITY_OF_AVIF)
    assert QUALITY_OF_AVIF[-1][1] > QUALITY_OF_STEP[0][1], "AVIF goes on where latents end"


def test_steps_follow_the_table() -> None:
    for step, quality in QUALITY_OF_STEP:
        assert step_of_quality(quality) == pytest.approx(step)
    (fine, better), (coarse, worse) = QUALITY_OF_STEP[:2]
    between = step_of_quality((better + worse) / 2)
    assert between is not None and fine < between < coarse


def test_qualities_outside_the_table() -> None:
    assert step_of_quality(QUALITY_OF_STEP[0][1] + 0.1) is None
    assert step_of_quality(-1000) == QUALITY_OF_STEP[-1][0]
    assert (avif_quality_of(-1000), avif_quality_of(1000)) == (0, 100)


def test_avif_gets_the_nearest_setting() -> None:
    for setting, quality in QUALITY_OF_AVIF:
        assert avif_quality_of(quality) == setting


def test_quality_of_a_step_is_the_inverse() -> None:
    for step, quality in QUALITY_OF_STEP:
        assert quality_of_step(step) == pytest.approx(quality)
    between = step_of_quality(30.0)
    assert between is not None and quality_of_step(between) == pytest.approx(30.0)
    assert (quality_of_step(0.1), quality_of_step(99)) == (QUALITY_OF_STEP[0][1], QUALITY_OF_STEP[-1][1])
