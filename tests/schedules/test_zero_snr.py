"""Schedules on a model trained to zero terminal SNR (arXiv:2305.08891): the highest level is 4096."""

from functools import cache
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import rescale_zero_terminal_snr
from hypothesis import given, settings
from hypothesis import strategies as st

import latentry_schedules
from latentry_samplers import register_samplers
from latentry_sdk import InvalidRequest, ModelRange, timestep_at
from latentry_sdk.testing import flow_range
from latentry_stable_diffusion.noise_levels import model_range

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULES = {spec.name: spec.sigmas for spec in latentry_schedules.register_schedulers()}
FORMULAS = sorted(set(SCHEDULES) - {"sigmas", "timesteps"})
HIGHEST = sqrt(2.0**24 - 1)
"""Infinity's stand-in, as in diffusers' Euler: an alpha product of 2^-24."""


@cache
def zero_snr() -> ModelRange:
    return model_range({**BETAS, "rescale_betas_zero_snr": True})


def reference(steps: int, **settings: Any) -> Any:
    scheduler = EulerDiscreteScheduler(
        **BETAS, rescale_betas_zero_snr=True, prediction_type="v_prediction", **settings
    )
    scheduler.set_timesteps(steps)
    return scheduler


def test_the_levels_are_those_of_rescaled_betas() -> None:
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    alphas = torch.cumprod(1 - rescale_zero_terminal_snr(roots**2), dim=0)
    assert float(alphas[-1]) == 0
    theirs = ((1 - alphas) / alphas)[:-1] ** 0.5
    assert zero_snr().sigmas == pytest.approx([*theirs.tolist(), HIGHEST], rel=1e-9)


@settings(deadline=None)
@given(st.integers(1, 1000), st.sampled_from(FORMULAS))
def test_every_schedule_falls_from_a_finite_level(steps: int, name: str) -> None:
    sigmas = SCHEDULES[name](steps, zero_snr())
    assert len(sigmas) == steps + 1
    assert sigmas[0] <= HIGHEST
    assert sigmas[-1] == 0
    assert all(now > nxt for now, nxt in pairwise(sigmas))


@pytest.mark.parametrize("steps", [2, 5, 20, 50])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("simple", {"timestep_spacing": "trailing"}),
        ("ddim_uniform", {"timestep_spacing": "leading", "steps_offset": 1}),
        ("karras", {"use_karras_sigmas": True}),
        ("exponential", {"use_exponential_sigmas": True}),
        ("beta", {"use_beta_sigmas": True}),
    ],
)
def test_schedules_are_those_of_diffusers(name: str, settings: dict[str, Any], steps: int) -> None:
    theirs = reference(steps, **settings).sigmas.tolist()
    assert SCHEDULES[name](steps, zero_snr()) == pytest.approx(theirs, rel=1e-4)


def test_the_first_step_is_the_last_timestep() -> None:
    for name in ("simple", "normal", "sgm_uniform", "karras"):
        assert timestep_at(zero_snr(), SCHEDULES[name](20, zero_snr())[0]) == 999


def test_euler_from_the_highest_level_walks_as_in_diffusers() -> None:
    """With a velocity of a known formula in place of the UNet's; x0 by arXiv:2202.00512."""
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0))

    def model(sample: Any, timestep: float) -> Any:
        return torch.tanh(1.5 * sample + timestep / 1000) - sample / 2

    def denoise(x: Any, sigma: float) -> Any:
        scale = sqrt(sigma**2 + 1)
        return x / scale**2 - model(x / scale, timestep_at(zero_snr(), sigma)) * sigma / scale

    euler = next(spec.sample for spec in register_samplers() if spec.name == "euler")
    sigmas = SCHEDULES["simple"](20, zero_snr())
    ours = euler(denoise, noise * sqrt(sigmas[0] ** 2 + 1), sigmas)

    scheduler = reference(20, timestep_spacing="trailing")
    theirs = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        output = model(scheduler.scale_model_input(theirs, timestep), float(timestep))
        theirs = scheduler.step(output, timestep, theirs).prev_sample
    assert float((ours - theirs).abs().max()) < 1e-4 * float(theirs.std())


PLAIN = model_range(BETAS)
CHOSEN: dict[str, dict[str, Any]] = {
    "sigmas": {"values": tuple(float(level) for level in range(20, 0, -1))},
    "timesteps": {"values": tuple(float(step) for step in range(999, 799, -10))},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_user_chooses_before_the_checkpoint(name: str) -> None:
    schedule, given = SCHEDULES[name], CHOSEN.get(name, {})
    as_trained = {levels: schedule(20, levels, **given) for levels in (PLAIN, zero_snr())}
    for trained in (PLAIN, zero_snr()):
        assert schedule(20, trained, zero_snr=None, **given) == as_trained[trained]
        assert schedule(20, trained, zero_snr=False, **given) == as_trained[PLAIN]
        assert schedule(20, trained, zero_snr=True, **given) == pytest.approx(
            as_trained[zero_snr()], rel=1e-9
        )


def test_choosing_changes_the_levels() -> None:
    assert SCHEDULES["simple"](20, PLAIN, zero_snr=True)[0] == pytest.approx(HIGHEST)
    assert SCHEDULES["simple"](20, zero_snr(), zero_snr=False)[0] == pytest.approx(14.6146, rel=1e-5)


def test_a_flow_models_levels_stay_as_they_are() -> None:
    assert SCHEDULES["simple"](5, flow_range(), zero_snr=False) == SCHEDULES["simple"](5, flow_range())
    with pytest.raises(InvalidRequest, match="flow model"):
        SCHEDULES["simple"](5, flow_range(), zero_snr=True)
