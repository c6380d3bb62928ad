"""The samplers walk the same way as the schedulers of diffusers, with a model of a known formula."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)

from latentry_samplers.solvers import ddim, dpmpp_2m, euler, euler_ancestral, heun
from latentry_sdk import ModelRange
from latentry_sdk.testing import stable_diffusion_range

# torch's __array__ has no `copy` yet, which numpy says at each of diffusers' conversions
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
RANGE: ModelRange = stable_diffusion_range()
STEPS = 28  # timesteps 999, 962 … are whole for "linspace"


def predict(x: torch.Tensor, timestep: float) -> torch.Tensor:
    """A model's epsilon for a picture of unit variance."""
    return 0.7 * torch.sin(1.3 * x) + 0.1 * x + 0.2 * timestep / 1000


def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The same model as samplers see it."""
    return x - predict(x / (sigma**2 + 1) ** 0.5, RANGE.timestep(sigma)) * sigma


def start() -> torch.Tensor:
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def noise() -> Callable[[float, float], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return lambda now, nxt: torch.randn(2, 4, 8, 8, generator=generator)


def walk(scheduler: Any, steps: int, **arguments: Any) -> torch.Tensor:
    """Sample as a diffusers pipeline does."""
    scheduler.set_timesteps(steps)
    x: torch.Tensor = start() * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        epsilon = predict(scheduler.scale_model_input(x, timestep), float(timestep))
        x = scheduler.step(epsilon, timestep, x, **arguments).prev_sample
    return x


def levels(scheduler: Any) -> tuple[float, ...]:
    return tuple(scheduler.sigmas.double().tolist())


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


linspace_and_karras = pytest.mark.parametrize(
    "spacing", [pytest.param({}, id="linspace"), pytest.param({"use_karras_sigmas": True}, id="karras")]
)


@linspace_and_karras
def test_euler_is_that_of_diffusers(spacing: dict[str, bool]) -> None:
    scheduler = EulerDiscreteScheduler(**BETAS, **spacing)
    theirs = walk(scheduler, STEPS)
    sigmas = levels(scheduler)
    assert_close(euler(denoise, start() * sigmas[0], sigmas), theirs)


def test_euler_ancestral_is_that_of_diffusers() -> None:
    scheduler = EulerAncestralDiscreteScheduler(**BETAS)
    theirs = walk(scheduler, STEPS, generator=torch.Generator().manual_seed(1))
    sigmas = levels(scheduler)
    assert_close(euler_ancestral(denoise, start() * sigmas[0], sigmas, noise=noise()), theirs)


@linspace_and_karras
def test_heun_is_that_of_diffusers(spacing: dict[str, bool]) -> None:
    scheduler = HeunDiscreteScheduler(**BETAS, **spacing)
    theirs = walk(scheduler, STEPS)
    sigmas = levels(scheduler)
    once = (*sigmas[:1], *sigmas[1:-1:2], 0.0)  # it lists all but the first twice
    assert len(once) == STEPS + 1
    assert_close(heun(denoise, start() * once[0], once), theirs)


@pytest.mark.parametrize("steps", [5, STEPS])
@linspace_and_karras
def test_dpmpp_2m_is_that_of_diffusers(steps: int, spacing: dict[str, bool]) -> None:
    scheduler = DPMSolverMultistepScheduler(**BETAS, final_sigmas_type="zero", **spacing)
    theirs = walk(scheduler, steps)
    timesteps = scheduler.timesteps.tolist()
    sigmas = levels(scheduler) if spacing else (*(RANGE.sigmas[t] for t in timesteps), 0.0)

    def whole(x: torch.Tensor, sigma: float) -> torch.Tensor:
        """It calls the model at whole timesteps, whatever the sigma."""
        timestep = timesteps[sigmas.index(sigma)]
        return x - predict(x / (sigma**2 + 1) ** 0.5, timestep) * sigma

    assert_close(dpmpp_2m(whole, start() * (sigmas[0] ** 2 + 1) ** 0.5, sigmas), theirs)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_is_that_of_diffusers(eta: float) -> None:
    scheduler = DDIMScheduler(**BETAS, set_alpha_to_one=True, clip_sample=False, steps_offset=1)
    theirs = walk(scheduler, 20, eta=eta, generator=torch.Generator().manual_seed(1))
    sigmas = (*(RANGE.sigmas[t] for t in scheduler.timesteps.tolist()), 0.0)
    ours = ddim(denoise, start() * (sigmas[0] ** 2 + 1) ** 0.5, sigmas, noise=noise(), eta=eta)
    assert_close(ours, theirs)
