"""The quantiles of the beta distribution are right, by formulas and by scipy."""

from itertools import pairwise
from math import atan2, pi, sin, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from latentry_schedules.quantile import beta_cdf, beta_quantile

PARTS = st.floats(0, 1)
SHAPES = st.floats(0.1, 10)


@settings(deadline=None)
@given(PARTS)
def test_the_arcsine_distribution(part: float) -> None:
    assert beta_quantile(part, 0.5, 0.5) == pytest.approx(sin(pi * part / 2) ** 2, rel=1e-11, abs=1e-300)


@settings(deadline=None)
@given(PARTS)
def test_the_uniform_distribution(part: float) -> None:
    assert beta_quantile(part, 1, 1) == pytest.approx(part, rel=1e-12)


@settings(deadline=None)
@given(PARTS, SHAPES)
def test_a_power_distribution(part: float, alpha: float) -> None:
    assert beta_quantile(part, alpha, 1) == pytest.approx(part ** (1 / alpha), rel=1e-11, abs=1e-250)


@settings(deadline=None)
@given(st.floats(0, 1))
def test_the_distribution_function_of_the_arcsine_distribution(x: float) -> None:
    assert beta_cdf(x, 0.5, 0.5) == pytest.approx(2 / pi * atan2(sqrt(x), sqrt(1 - x)), abs=1e-14)


@settings(deadline=None)
@given(st.floats(0.001, 0.999), SHAPES, SHAPES)
def test_the_quantile_undoes_the_distribution_function(part: float, alpha: float, beta: float) -> None:
    x = beta_quantile(part, alpha, beta)
    if x < 1 - 1e-9:  # nearer to 1 a float has too few digits left
        assert beta_cdf(x, alpha, beta) == pytest.approx(part, abs=1e-6)


@settings(deadline=None)
@given(st.floats(0.001, 0.999), SHAPES, SHAPES)
def test_both_tails_mirror_each_other(part: float, alpha: float, beta: float) -> None:
    mirrored = 1 - beta_quantile(1 - part, beta, alpha)
    assert beta_quantile(part, alpha, beta) == pytest.approx(mirrored, abs=1e-9)


@settings(deadline=None)
@given(SHAPES, SHAPES)
def test_quantiles_grow_from_zero_to_one(alpha: float, beta: float) -> None:
    quantiles = [beta_quantile(i / 50, alpha, beta) for i in range(51)]
    assert (quantiles[0], quantiles[-1]) == (0, 1)
    assert all(low <= high for low, high in pairwise(quantiles))


@settings(deadline=None)
@given(SHAPES)
def test_the_median_of_a_symmetric_distribution_is_its_middle(alpha: float) -> None:
    assert beta_quantile(0.5, alpha, alpha) == pytest.approx(0.5, rel=1e-12)


@settings(deadline=None)
@given(st.floats(1e-9, 1), SHAPES, SHAPES)  # scipy gives NaN for some parts that are nearly 0
def test_quantiles_are_those_of_scipy(part: float, alpha: float, beta: float) -> None:
    assume(part != 0.5 or alpha != beta)  # there scipy is off by 1e-8
    stats = pytest.importorskip("scipy.stats")
    theirs = stats.beta.ppf(part, alpha, beta)
    assert beta_quantile(part, alpha, beta) == pytest.approx(theirs, rel=1e-8, abs=1e-12)
