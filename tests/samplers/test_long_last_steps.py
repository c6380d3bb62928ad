"""Why some pairs fail in few steps: a last step above 0 that is many times as long as the one before it.

Samplers that remember go on along a line or a parabola, and overshoot by as much. diffusers does the same on
the same levels; a schedule that leaves the last level out has no such step.
"""

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

import latentry_samplers
import latentry_schedules
from latentry_sdk.testing import stable_diffusion_range

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")

SAMPLERS = {spec.name: spec for spec in latentry_samplers.register_samplers()}
SCHEDULES = {spec.name: spec for spec in latentry_schedules.register_schedulers()}
STEPS, SHAPE = 12, (2, 4, 8, 8)
SPREAD = sqrt(1 + 0.25)
"""The deviation of the data: 1 and -1, each with deviations of 0.5."""

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SDE: dict[str, Any] = {**BETAS, "algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "zero"}
REFERENCES: dict[str, Callable[[], Any]] = {
    "dpmpp_2m": lambda: DPMSolverMultistepScheduler(**BETAS, final_sigmas_type="zero"),
    "dpmpp_2m_sde": lambda: DPMSolverMultistepScheduler(**SDE),
    "dpmpp_2m_sde_heun": lambda: DPMSolverMultistepScheduler(**SDE, solver_type="heun"),
    "uni_pc_bh2": lambda: UniPCMultistepScheduler(**BETAS, solver_order=3, final_sigmas_type="zero"),
}
OVERSHOOTING = (
    "uni_pc",
    "res_multistep_ancestral",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "sa_solver",
)


def levels(schedule: str, **options: Any) -> tuple[float, ...]:
    return SCHEDULES[schedule].sigmas(STEPS, stable_diffusion_range(), **options)


def denoise(x: Tensor, sigma: float) -> Tensor:
    """E[x0 | x], exactly."""
    variance = 0.25 + sigma**2
    return (x * 0.25 + torch.tanh(x / variance) * sigma**2) / variance


def start(sigma: float) -> Tensor:
    drawn = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).double()
    return drawn * sqrt(1 + sigma**2)


def drawn_by(generator: torch.Generator) -> Callable[[float, float], Tensor]:
    return lambda now, nxt: torch.randn(SHAPE, generator=generator).double()


def ours(sampler: str, sigmas: tuple[float, ...]) -> Tensor:
    spec, generator = SAMPLERS[sampler], torch.Generator().manual_seed(1)
    noise = {"noise": drawn_by(generator)} if spec.stochastic else {}
    found: Tensor = spec.sample(
        denoise, start(sigmas[0]), sigmas, on_step=lambda *_: None, **dict(spec.options()), **noise
    )
    return found


def theirs(scheduler: Any, sigmas: tuple[float, ...]) -> Tensor:
    scheduler.set_timesteps(STEPS)
    scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    stochastic = "sde" in scheduler.config.get("algorithm_type", "")
    drawing = {"generator": torch.Generator().manual_seed(1)} if stochastic else {}
    x = start(sigmas[0]) / sqrt(1 + sigmas[0] ** 2)
    for timestep, sigma in zip(scheduler.timesteps, sigmas, strict=False):
        whole = x * sqrt(1 + sigma**2)
        x = scheduler.step((whole - denoise(whole, sigma)) / sigma, timestep, x, **drawing).prev_sample
    return x


@pytest.mark.parametrize("schedule", ["normal", "beta", "linear"])
@pytest.mark.parametrize("sampler", REFERENCES)
def test_diffusers_ends_where_we_do_on_the_same_levels(sampler: str, schedule: str) -> None:
    sigmas = levels(schedule)
    theirs_end = theirs(REFERENCES[sampler](), sigmas)
    assert float((ours(sampler, sigmas) - theirs_end).abs().max() / theirs_end.abs().max()) < 1e-6


@pytest.mark.parametrize("schedule", ["normal", "ddim_uniform", "beta", "linear"])
def test_the_last_step_above_0_is_long_unless_its_level_is_left_out(schedule: str) -> None:
    for skip, longest in ((False, 6.0), (True, 2.0)):
        *_, before, now, nxt, _ = levels(schedule, skip_last=skip)
        ratio = log(now / nxt) / log(before / now)
        assert ratio < longest
        assert skip or ratio > 2.5


@pytest.mark.parametrize("schedule", ["normal", "ddim_uniform"])
@pytest.mark.parametrize("sampler", OVERSHOOTING)
def test_without_that_level_samplers_that_remember_keep_the_spread(sampler: str, schedule: str) -> None:
    overshot, kept = (float(ours(sampler, levels(schedule, skip_last=skip)).std()) for skip in (False, True))
    assert overshot > 1.15 * SPREAD
    assert kept == pytest.approx(SPREAD, rel=0.03)
