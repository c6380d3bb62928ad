"""Noise between two seeds."""

from math import cos, sin

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentry_variation import slerp


def noise(seed: int, images: int = 1) -> torch.Tensor:
    return torch.randn(images, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_the_ends_are_the_two_noises() -> None:
    torch.testing.assert_close(slerp(noise(1), noise(2), 0.0), noise(1))
    torch.testing.assert_close(slerp(noise(1), noise(2), 1.0), noise(2))


@given(st.floats(0, 1), st.integers(0, 1000))
def test_right_angles_are_crossed_as_on_a_circle(part: float, seed: int) -> None:
    x = noise(seed).flatten(1)
    y = noise(seed + 1).flatten(1)
    y = y - x * (x * y).sum() / (x * x).sum()
    y = y * x.norm() / y.norm()
    angle = part * torch.pi / 2
    torch.testing.assert_close(slerp(x, y, part), cos(angle) * x + sin(angle) * y, rtol=1e-4, atol=1e-4)


@given(st.floats(0, 1))
def test_the_spread_of_normal_noise_stays(part: float) -> None:
    assert slerp(noise(1), noise(2), part).std() == pytest.approx(1, abs=0.1)


def test_equal_noises_stay_equal() -> None:
    torch.testing.assert_close(slerp(noise(1), noise(1), 0.3), noise(1))


def test_each_image_goes_its_own_way() -> None:
    low, high = noise(1, 3), noise(2, 3)
    together = slerp(low, high, 0.4)
    for i in range(3):
        assert together[i : i + 1].equal(slerp(low[i : i + 1], high[i : i + 1], 0.4))
