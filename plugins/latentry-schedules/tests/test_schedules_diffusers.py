"""The schedules equal those of diffusers, where it has them."""

from typing import Any

import pytest
from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from diffusers.schedulers.scheduling_utils import AysSchedules

from latentry_schedules import register_schedulers
from latentry_schedules.given import given_sigmas, given_timesteps
from latentry_schedules.levels import beta, exponential, karras, linear, linear_quadratic
from latentry_schedules.published import align_your_steps
from latentry_schedules.timesteps import ddim_uniform, normal, simple
from latentry_sdk import ModelRange

# torch's __array__ has no `copy` yet, which numpy says at each of diffusers' conversions
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def reference(steps: int, **settings: Any) -> list[float]:
    scheduler = EulerDiscreteScheduler(**BETAS, **settings)
    scheduler.set_timesteps(steps)
    sigmas: list[float] = scheduler.sigmas.tolist()
    return sigmas


def flow_reference(steps: int, **settings: Any) -> list[float]:
    scheduler = FlowMatchEulerDiscreteScheduler(**settings)
    scheduler.set_timesteps(steps)
    sigmas: list[float] = scheduler.sigmas.tolist()
    return sigmas


def euler_with(**given: list[float]) -> list[float]:
    scheduler = EulerDiscreteScheduler(**BETAS)
    scheduler.set_timesteps(**given)
    sigmas: list[float] = scheduler.sigmas.tolist()
    return sigmas


def same(sigmas: list[float]) -> Any:
    return pytest.approx(sigmas, rel=2e-5)


@pytest.mark.parametrize("steps", [2, 4, 10, 28, 38, 112, 334, 1000])  # 999 is a multiple of steps - 1
def test_normal_is_linspace(steps: int, stable_diffusion_range: ModelRange) -> None:
    assert normal(steps, stable_diffusion_range) == same(reference(steps, timestep_spacing="linspace"))


@pytest.mark.parametrize("steps", [1, 3, 9, 27])
@pytest.mark.parametrize(
    ("name", "settings"),
    [("normal", {"timestep_spacing": "linspace"}), ("karras", {"use_karras_sigmas": True})],
)
def test_without_the_last_level_they_are_those_of_one_step_more(
    name: str, settings: dict[str, Any], steps: int, stable_diffusion_range: ModelRange
) -> None:
    (spec,) = (spec for spec in register_schedulers() if spec.name == name)
    *levels, _, zero = reference(steps + 1, **settings)
    assert spec.sigmas(steps, stable_diffusion_range, skip_last=True) == same([*levels, zero])


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 50, 333, 999])
def test_ddim_uniform_is_leading(steps: int, stable_diffusion_range: ModelRange) -> None:
    leading = reference(steps, timestep_spacing="leading", steps_offset=1)
    assert ddim_uniform(steps, stable_diffusion_range) == same(leading)


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 50, 250, 1000])  # divisors of 1000; others round apart
def test_simple_is_trailing(steps: int, stable_diffusion_range: ModelRange) -> None:
    assert simple(steps, stable_diffusion_range) == same(reference(steps, timestep_spacing="trailing"))


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


@pytest.mark.parametrize("steps", [2, 3, 20, 50])
@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (linear, {}),
        (karras, {"use_karras_sigmas": True}),
        (exponential, {"use_exponential_sigmas": True}),
        (beta, {"use_beta_sigmas": True}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_flow_models_get_those_of_diffusers(
    schedule: Any, settings: dict[str, bool], steps: int, flow_range: ModelRange
) -> None:
    assert schedule(steps, flow_range) == same(flow_reference(steps, **settings))


@pytest.mark.parametrize("steps", [2, 3, 7, 20, 64, 1000])
def test_linear_quadratic_is_that_of_mochi(steps: int, flow_range: ModelRange) -> None:
    theirs = linear_quadratic_schedule(steps, threshold_noise=0.025)
    assert linear_quadratic(steps, flow_range) == pytest.approx([*theirs, 0], rel=1e-9)


@pytest.mark.parametrize(("table", "name"), [("sd1", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_ten_steps_of_align_your_steps_are_the_published_table(
    table: str, name: str, stable_diffusion_range: ModelRange
) -> None:
    sigmas = align_your_steps(10, stable_diffusion_range, table=table)
    assert sigmas[0] == stable_diffusion_range.sigma_max  # 14.615 in the table is rounded up
    assert list(sigmas[1:]) == AysSchedules[f"{name}Sigmas"][1:]
    assert sigmas == pytest.approx(AysSchedules[f"{name}Sigmas"], rel=3e-5)


def test_given_sigmas_are_those_of_diffusers(stable_diffusion_range: ModelRange) -> None:
    values = (14.6, 5.5, 1.25, 0.3)
    assert given_sigmas(4, stable_diffusion_range, values=values) == same(euler_with(sigmas=[*values, 0.0]))


@pytest.mark.parametrize("name", ["StableDiffusion", "StableDiffusionXL"])
def test_given_timesteps_have_the_levels_of_diffusers(name: str, stable_diffusion_range: ModelRange) -> None:
    values = AysSchedules[f"{name}Timesteps"]
    theirs = euler_with(timesteps=values)
    assert given_timesteps(10, stable_diffusion_range, values=tuple(values)) == same(theirs)
