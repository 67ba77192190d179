"""BD-rate of curves for which it is known analytically."""

import numpy as np
import pytest

from unicorn_codec.bench.bd_rate import RateCurve, RatePoint, bd_rate, monotone_slopes, pareto_front

LEAST_OVERLAP = 2.0


def exponential(qualities: list[float], factor: float = 1.0, growth: float = 0.2) -> list[RatePoint]:
    """Return points of rate = factor exp(growth quality), a straight line over the logarithmic rate."""
    return [RatePoint(float(factor * np.exp(growth * q)), q) for q in qualities]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25])
def test_a_constant_factor_is_found_exactly(factor: float) -> None:
    found = bd_rate(exponential([24, 27, 30, 36]), exponential([25, 28, 31, 33], factor), LEAST_OVERLAP)
    assert found is not None
    assert found.percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert (found.low, found.high) == (25, 33)
    assert (found.low_rate, found.high_rate) == pytest.approx((np.exp(5), np.exp(6.6)))


def test_two_slopes_average_over_the_shared_interval() -> None:
    """Logarithmic rates of 0.2 q and 0.3 q differ by 0.1 q: over [20, 30] by 2.5 on average."""
    found = bd_rate(exponential([10, 20, 30]), exponential([20, 25, 30, 40], growth=0.3), LEAST_OVERLAP)
    assert found is not None
    assert found.percent == pytest.approx(100 * np.expm1(2.5))


def test_swapping_the_curves_inverts_the_factor() -> None:
    a, b = exponential([24, 26, 31, 35]), [RatePoint(0.1 + q * q, q) for q in (22.0, 27.0, 30.0, 34.0)]
    there, back = bd_rate(a, b, LEAST_OVERLAP), bd_rate(b, a, LEAST_OVERLAP)
    assert there is not None
    assert back is not None
    assert (1 + there.percent / 100) * (1 + back.percent / 100) == pytest.approx(1)


def test_the_integral_is_that_of_many_samples() -> None:
    a = [RatePoint(r, q) for r, q in ((0.1, 24.0), (0.13, 26.0), (0.4, 29.0), (0.5, 33.5))]
    b = [RatePoint(r, q) for r, q in ((0.07, 23.0), (0.2, 28.0), (0.21, 30.0), (0.9, 32.0))]
    found = bd_rate(a, b, LEAST_OVERLAP)
    assert found is not None
    places = np.linspace(found.low, found.high, 200_001)
    mean = (RateCurve(b).log_rate(places) - RateCurve(a).log_rate(places)).mean()
    assert found.percent == pytest.approx(100 * np.expm1(mean), rel=1e-4)


@pytest.mark.parametrize("qualities", [[40.0, 45.0], [31.5, 40.0], [30.0], []])
def test_too_little_overlap_gives_no_bd_rate(qualities: list[float]) -> None:
    assert bd_rate(exponential([25, 33]), exponential(qualities), LEAST_OVERLAP) is None


def test_just_enough_overlap_gives_a_bd_rate() -> None:
    assert bd_rate(exponential([25, 33]), exponential([31, 40]), LEAST_OVERLAP) is not None


def test_beaten_and_lossless_points_do_not_count() -> None:
    good = [RatePoint(0.1, 25.0), RatePoint(0.2, 28.0)]
    bad = [RatePoint(0.15, 24.0), RatePoint(0.2, 27.0), RatePoint(9.0, float("inf")), RatePoint(9.0, float("nan"))]
    assert pareto_front([*bad, *good]) == good


def test_the_curve_passes_through_its_points_and_stays_between_them() -> None:
    points = [RatePoint(r, q) for r, q in ((0.1, 20.0), (0.11, 24.0), (0.9, 25.0), (1.0, 33.0))]
    curve = RateCurve(points)
    assert [curve.bits_per_pixel(p.quality) for p in points] == pytest.approx([p.bits_per_pixel for p in points])
    assert (np.diff(curve.log_rate(np.linspace(20, 33, 1000))) >= 0).all()


@pytest.mark.parametrize("y", [[0, 1, 1.5, 4, 4.5], [0, 1, 0.5, 4, 3], [1, 1, 1, 2, 2], [3, 0, 2, 2.5, 9]])
def test_the_slopes_are_those_of_scipy(y: list[float]) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    x, values = np.array([0.0, 1.0, 3.0, 3.5, 7.0]), np.array(y, np.float64)
    wanted = interpolate.PchipInterpolator(x, values).derivative()(x)
    assert monotone_slopes(x, values) == pytest.approx(wanted)
