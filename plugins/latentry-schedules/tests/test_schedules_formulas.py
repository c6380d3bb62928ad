"""The schedules are what their formulas say, worked out with numpy and scipy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from latentry_schedules.levels import beta, exponential, karras, kl_optimal, linear, polyexponential
from latentry_schedules.published import ALIGN_YOUR_STEPS, align_your_steps
from latentry_schedules.timesteps import cosine, quadratic, sgm_uniform
from latentry_sdk import ModelRange

STEPS = st.integers(2, 300)
LOW, HIGH = st.floats(0.001, 0.5), st.floats(0.6, 1000)
ANY = ModelRange((0.03, 14.6))


def ending(levels: Any) -> Any:
    return pytest.approx([*levels, 0], rel=1e-9)


def at(model_range: ModelRange, times: Any) -> Any:
    """Log-linear interpolation of the trained levels."""
    return np.exp(np.interp(times, np.arange(len(model_range.sigmas)), np.log(model_range.sigmas)))


@settings(deadline=None)
@given(STEPS, LOW, HIGH, st.floats(1, 20))
def test_karras(steps: int, low: float, high: float, rho: float) -> None:
    theirs = np.linspace(high ** (1 / rho), low ** (1 / rho), steps) ** rho
    assert karras(steps, ANY, sigma_min=low, sigma_max=high, rho=rho) == ending(theirs)


@settings(deadline=None)
@given(STEPS, LOW, HIGH)
def test_exponential(steps: int, low: float, high: float) -> None:
    assert exponential(steps, ANY, sigma_min=low, sigma_max=high) == ending(np.geomspace(high, low, steps))


@settings(deadline=None)
@given(STEPS, LOW, HIGH, st.floats(0.2, 3))
def test_polyexponential(steps: int, low: float, high: float, rho: float) -> None:
    theirs = np.exp(np.linspace(1, 0, steps) ** rho * (np.log(high) - np.log(low)) + np.log(low))
    assert polyexponential(steps, ANY, sigma_min=low, sigma_max=high, rho=rho) == ending(theirs)


@settings(deadline=None)
@given(STEPS, LOW, HIGH)
def test_linear(steps: int, low: float, high: float) -> None:
    theirs = np.linspace(high, low, steps)
    assert linear(steps, ANY, sigma_min=low, sigma_max=high) == ending(theirs)
    assert karras(steps, ANY, sigma_min=low, sigma_max=high, rho=1) == ending(theirs)


@settings(deadline=None)
@given(STEPS, LOW, HIGH)
def test_kl_optimal(steps: int, low: float, high: float) -> None:
    theirs = np.tan(np.linspace(np.arctan(high), np.arctan(low), steps))
    assert kl_optimal(steps, ANY, sigma_min=low, sigma_max=high) == ending(theirs)


@settings(deadline=None)
@given(st.integers(2, 100), LOW, HIGH, st.floats(0.3, 3), st.floats(0.3, 3))
def test_beta(steps: int, low: float, high: float, a: float, b: float) -> None:
    parts = np.linspace(1, 0, steps)
    quantiles = np.where((parts == 0.5) & (a == b), 0.5, stats.beta.ppf(parts, a, b))
    theirs = low + quantiles * (high - low)  # scipy's median of a symmetric distribution is off by 1e-8
    assert beta(steps, ANY, sigma_min=low, sigma_max=high, alpha=a, beta=b) == ending(theirs)


@settings(deadline=None)
@given(STEPS)
def test_cosine(steps: int) -> None:
    levels = ModelRange(tuple(np.geomspace(0.03, 14.6, 1000).tolist()))
    times = 999 * (1 + np.cos(np.linspace(0, np.pi, steps))) / 2
    assert cosine(steps, levels) == ending(at(levels, times))


@settings(deadline=None)
@given(STEPS)
def test_quadratic(steps: int) -> None:
    levels = ModelRange(tuple(np.geomspace(0.03, 14.6, 1000).tolist()))
    assert quadratic(steps, levels) == ending(at(levels, np.linspace(999**0.5, 0, steps) ** 2))


@pytest.mark.parametrize("steps", [1, 2, 3, 20, 37, 999, 1000])
def test_sgm_uniform(steps: int, stable_diffusion_range: ModelRange) -> None:
    times = np.linspace(999, 0, steps, endpoint=False)
    assert sgm_uniform(steps, stable_diffusion_range) == ending(at(stable_diffusion_range, times))


@pytest.mark.parametrize("table", ["sd1", "sdxl"])
@pytest.mark.parametrize("steps", [1, 2, 4, 9, 11, 20, 30, 100, 1000])
def test_align_your_steps_is_log_linear_between_entries(table: str, steps: int) -> None:
    wide = ModelRange((0.01, 20.0))
    known = ALIGN_YOUR_STEPS[table]
    places, wanted = np.linspace(0, 1, len(known)), np.linspace(0, 1, steps + 1)[:-1]
    assert align_your_steps(steps, wide, table=table) == ending(
        np.exp(np.interp(wanted, places, np.log(known)))
    )
