"""The schedules equal those of diffusers, where it has them."""

from typing import Any

import pytest
from diffusers import EulerDiscreteScheduler

from latentry_schedules.levels import beta, exponential, karras
from latentry_schedules.timesteps import ddim_uniform, normal
from latentry_sdk import ModelRange

# torch's __array__ has no `copy` yet, which numpy says at each of diffusers' conversions
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def reference(steps: int, **settings: Any) -> list[float]:
    scheduler = EulerDiscreteScheduler(**BETAS, **settings)
    scheduler.set_timesteps(steps)
    sigmas: list[float] = scheduler.sigmas.tolist()
    return sigmas


def same(sigmas: list[float]) -> Any:
    return pytest.approx(sigmas, rel=2e-5)


@pytest.mark.parametrize("steps", [2, 4, 10, 28, 38, 112, 334, 1000])  # 999 is a multiple of steps - 1
def test_normal_is_linspace(steps: int, stable_diffusion_range: ModelRange) -> None:
    assert normal(steps, stable_diffusion_range) == same(reference(steps, timestep_spacing="linspace"))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 50, 333, 999])
def test_ddim_uniform_is_leading(steps: int, stable_diffusion_range: ModelRange) -> None:
    leading = reference(steps, timestep_spacing="leading", steps_offset=1)
    assert ddim_uniform(steps, stable_diffusion_range) == same(leading)


@pytest.mark.parametrize("steps", [2, 3, 20, 50])
def test_karras_is_that_of_diffusers(steps: int, stable_diffusion_range: ModelRange) -> None:
    assert karras(steps, stable_diffusion_range) == same(reference(steps, use_karras_sigmas=True))


@pytest.mark.parametrize("steps", [2, 3, 20, 50])
def test_exponential_is_that_of_diffusers(steps: int, stable_diffusion_range: ModelRange) -> None:
    assert exponential(steps, stable_diffusion_range) == same(reference(steps, use_exponential_sigmas=True))


@pytest.mark.parametrize("steps", [2, 3, 20, 50])
def test_beta_is_that_of_diffusers(steps: int, stable_diffusion_range: ModelRange) -> None:
    pytest.importorskip("scipy")
    assert beta(steps, stable_diffusion_range) == same(reference(steps, use_beta_sigmas=True))
