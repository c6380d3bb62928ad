"""Timesteps and noise levels: each the inverse of the other, clamped at the ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry_sdk import ModelRange, sigma_at, timestep_at


@pytest.mark.parametrize("space", ["ve", "flow"])
@given(part=st.floats(0, 99))
def test_timestep_is_the_inverse_of_sigma(space: str, part: float) -> None:
    levels = ModelRange(tuple((t + 1) / 100 for t in range(100)), space)
    assert timestep_at(levels, sigma_at(levels, part)) == pytest.approx(part, abs=1e-9)


@pytest.mark.parametrize("space", ["ve", "flow"])
def test_levels_are_clamped_at_both_ends(space: str) -> None:
    levels = ModelRange((0.1, 0.2, 0.9), space)
    assert (sigma_at(levels, -5), sigma_at(levels, 99)) == (0.1, 0.9)
    assert (timestep_at(levels, 1e-9), timestep_at(levels, 1e9)) == (0, 2)
    assert (levels.sigma_min, levels.sigma_max) == (0.1, 0.9)
