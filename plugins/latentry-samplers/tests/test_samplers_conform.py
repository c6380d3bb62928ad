"""Every sampler of this plugin keeps the contract, and the suite notices those that do not."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import latentry_samplers
from latentry_samplers.catalogue import ADAPTIVE
from latentry_samplers.suites import TestDistilled, TestSamplers, named  # noqa: F401
from latentry_sdk import Number, Options, SamplerSpec
from latentry_sdk.testing import Gaussian, SamplerContract, SamplerSuite, heavy_imports, measured_order

SAMPLERS = {spec.name: spec for spec in latentry_samplers.register_samplers()}


class Half(Options):
    """Half of the noise is fresh."""

    eta: Number = 0.5


class Variant(Options):
    """Another way to the same equation."""

    eta: Number = 0.7
    variant: str = "heun"


class Cool(Options):
    """Little noise is fresh."""

    tau: Number = 0.6


VARIANTS = [
    replace(SAMPLERS["ddim"], name="ddim_half", options=Half),
    replace(SAMPLERS["dpmpp_sde"], name="dpmpp_sde_half", options=Half),
    replace(SAMPLERS["dpmpp_2m_sde"], name="dpmpp_2m_sde_variant", options=Variant),
    replace(SAMPLERS["sa_solver"], name="sa_solver_cool", options=Cool),
]


FREE = Gaussian(mean=-0.5).denoise
"""What is seen without the prompt."""


def given_to(
    spec: SamplerSpec, noise: Callable[[float, float], float], unguided: Any = FREE
) -> dict[str, Any]:
    """What a sampler takes beside its options."""
    found: dict[str, Any] = {"noise": noise} if spec.stochastic else {}
    return found | ({"unguided": unguided} if spec.unguided else {})


class TestVariants(SamplerSuite):
    """Solvers keep the contract and their claims with other options too."""

    @pytest.fixture(params=VARIANTS, ids=named)
    def spec(self, request: pytest.FixtureRequest) -> SamplerSpec:
        spec: SamplerSpec = request.param
        return spec


@pytest.mark.parametrize(("name", "claim"), [("euler", 2), ("heun", 1), ("heun", 3), ("euler_ancestral", 2)])
def test_a_wrong_order_claim_fails(name: str, claim: int) -> None:
    wrong = replace(SAMPLERS[name], order=claim)
    with pytest.raises(AssertionError, match=f"claims {claim}"):
        SamplerSuite().test_its_order_of_accuracy_is_as_claimed(wrong)


def test_a_brownian_sampler_needs_one_path_for_its_order() -> None:
    wrong = replace(SAMPLERS["dpmpp_sde"], stochastic=True)
    with pytest.raises(AssertionError, match="claims 2"):
        SamplerSuite().test_its_order_of_accuracy_is_as_claimed(wrong)


def test_a_sampler_with_the_wrong_noise_breaks_the_contract() -> None:
    def loud(denoise: Any, x: Any, sigmas: Any, *, noise: Any, **on_step: Any) -> Any:
        return SAMPLERS["lcm"].sample(
            denoise, x, sigmas, noise=lambda now, nxt: noise(now, nxt) * 1.01, **on_step
        )

    wrong = SamplerSpec("loud", loud, stochastic=True)
    with pytest.raises(AssertionError):
        SamplerContract().test_every_level_has_the_noise_that_its_sigma_says(wrong)


def test_a_sampler_wrong_in_flow_space_cannot_claim_it() -> None:
    wrong = replace(SAMPLERS["euler_ancestral"], spaces=frozenset({"flow"}))
    with pytest.raises(AssertionError):
        SamplerSuite().test_its_order_of_accuracy_is_as_claimed(wrong)
    with pytest.raises(AssertionError):
        SamplerSuite().test_samples_spread_as_the_data_does(wrong)


def test_a_fourth_order_sampler_is_measured_as_such() -> None:
    def runge_kutta(denoise: Any, x: Any, sigmas: Any) -> Any:
        def slope(x: Any, sigma: float) -> Any:
            return (x - denoise(x, sigma)) / sigma

        for now, nxt in pairwise(sigmas[:-1]):
            step, middle = nxt - now, (now + nxt) / 2
            first = slope(x, now)
            second = slope(x + first * (step / 2), middle)
            third = slope(x + second * (step / 2), middle)
            last = slope(x + third * step, nxt)
            x = x + (first + second * 2 + third * 2 + last) * (step / 6)
        return denoise(x, sigmas[-2])

    spec = SamplerSpec("runge_kutta", runge_kutta, order=4, spaces=frozenset({"ve", "flow"}))
    SamplerSuite().test_its_order_of_accuracy_is_as_claimed(spec)


def test_a_sampler_that_works_in_place_fails() -> None:
    def euler_in_place(denoise: Any, x: Any, sigmas: Any, *, on_step: Any = None) -> Any:
        for now, nxt in pairwise(sigmas):
            x += (x - denoise(x, now)) / now * (nxt - now)
        return x

    with pytest.raises(TypeError, match="in place"):
        SamplerSuite().test_floats_and_arrays_give_the_same(SamplerSpec("in_place", euler_in_place))


def test_a_sampler_with_too_much_noise_fails() -> None:
    def loud(denoise: Any, x: Any, sigmas: Any, *, noise: Callable[[float, float], Any]) -> Any:
        return SAMPLERS["euler_ancestral"].sample(
            denoise, x, sigmas, noise=lambda now, nxt: noise(now, nxt) * 1.3
        )

    wrong = SamplerSpec("loud", loud, stochastic=True)
    with pytest.raises(AssertionError):
        SamplerSuite().test_samples_spread_as_the_data_does(wrong)
    assert measured_order(wrong, "ve") < 0.5


@pytest.mark.parametrize("spec", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_torch_give_what_floats_give(spec: SamplerSpec, dtype: str) -> None:
    starts, sigmas, denoise = [-4.0, 0.5, 7.0], (10.0, 5.0, 2.0, 0.5, 0.0), Gaussian().denoise
    array = np.array(starts, dtype)
    tensor = torch.tensor(starts, dtype=getattr(torch, dtype))
    more = given_to(spec, lambda now, nxt: 0.5)
    floats = [spec.sample(denoise, start, sigmas, **more) for start in starts]
    from_array = spec.sample(denoise, array, sigmas, **more)
    from_tensor = spec.sample(denoise, tensor, sigmas, **more)
    assert (from_array.dtype, from_tensor.dtype) == (array.dtype, tensor.dtype)
    rounded = spec in ADAPTIVE and dtype == "float32"  # its steps follow from small differences
    rtol = 1e-3 if rounded else 1e-5
    np.testing.assert_allclose(from_array, floats, rtol=rtol)
    np.testing.assert_allclose(from_tensor.numpy(), floats, rtol=rtol)
    assert array.tolist() == tensor.tolist() == starts


falling = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12, unique=True).map(
    lambda levels: (*sorted(levels, reverse=True), 0.0)
)


@pytest.mark.parametrize("spec", SAMPLERS.values(), ids=SAMPLERS)
@given(sigmas=falling, start=st.floats(-3, 3))
@example(sigmas=(1.0, math.nextafter(1.0, 0.0), math.nextafter(1.0, 0.0) - 2**-52, 0.5, 0.0), start=1.0)
@example(sigmas=(1000.0, 0.001, 0.0), start=-3.0)
@example(
    sigmas=(math.nextafter(1.003, 2.0), 1.003, 0.3, 0.1, 0.0), start=1.0
)  # of one logarithm of 0.3 / sigma
@settings(max_examples=40, deadline=None)
def test_any_falling_levels_give_a_finite_picture(
    spec: SamplerSpec, sigmas: tuple[float, ...], start: float
) -> None:
    more = given_to(spec, lambda now, nxt: 0.5)
    assert math.isfinite(spec.sample(Gaussian().denoise, start * sigmas[0], sigmas, **more))


def end(name: str, **options: Any) -> float:
    """Where a sampler ends with options, from the same start and with the same noise."""
    pieces = iter((0.4, -1.2, 0.7, 0.1))
    spec, denoise = SAMPLERS[name], Gaussian().denoise
    more = given_to(spec, lambda now, nxt: next(pieces), unguided=denoise)
    found: float = spec.sample(denoise, 3.0, (10.0, 5.0, 2.0, 0.5, 0.0), **more, **options)
    return found


@pytest.mark.parametrize(
    ("one", "options", "other", "others"),
    [
        ("ddim", {"eta": 0.0}, "euler", {}),
        ("ddim", {"eta": 1.0}, "ddpm", {}),
        ("ddpm", {}, "euler_ancestral", {"eta": 1.0}),
        ("euler_ancestral", {"eta": 0.0}, "euler", {}),
        ("dpm_2_ancestral", {"eta": 0.0}, "dpm_2", {}),
        ("res_multistep_ancestral", {"eta": 0.0}, "res_multistep", {}),
        ("dpmpp_2m_sde", {"eta": 0.0}, "dpmpp_2m", {}),
        ("dpmpp_2m_sde", {"eta": 0.0, "variant": "heun"}, "res_multistep", {}),
        ("dpmpp_2m_sde", {"variant": "heun"}, "dpmpp_2m_sde_heun", {}),
        ("dpmpp_sde", {"eta": 0.0}, "dpmpp_2s_ancestral", {"eta": 0.0}),
        ("gradient_estimation", {"gamma": 1.0}, "euler", {}),
        ("lms", {"order": 1}, "euler", {}),
        ("deis", {"order": 1}, "euler", {}),
        ("ipndm_v", {}, "lms", {}),
        ("tcd", {"eta": 0.0}, "euler", {}),
        ("euler_cfg_pp", {}, "euler", {}),
        ("euler_ancestral_cfg_pp", {}, "euler_ancestral", {}),
        ("dpmpp_2s_ancestral_cfg_pp", {}, "dpmpp_2s_ancestral", {}),
        ("dpmpp_2m_cfg_pp", {}, "dpmpp_2m", {}),
        ("res_multistep_cfg_pp", {}, "res_multistep", {}),
        ("gradient_estimation_cfg_pp", {}, "gradient_estimation", {}),
        ("gradient_estimation_cfg_pp", {"gamma": 1.3}, "gradient_estimation", {"gamma": 1.3}),
    ],
)
def test_samplers_meet_where_their_options_make_them_the_same(
    one: str, options: dict[str, Any], other: str, others: dict[str, Any]
) -> None:
    assert end(one, **options) == pytest.approx(end(other, **others), rel=1e-12)


@pytest.mark.parametrize(
    "name", [name for name, spec in SAMPLERS.items() if "eta" in spec.options.model_fields]
)
def test_without_fresh_noise_none_is_drawn(name: str) -> None:
    def noise(now: float, nxt: float) -> float:
        raise AssertionError("noise was asked for")

    more = given_to(SAMPLERS[name], noise)
    SAMPLERS[name].sample(Gaussian().denoise, 3.0, (10.0, 5.0, 2.0, 0.5, 0.0), **more, eta=0.0)


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan"), True, "much"])
def test_an_eta_out_of_range_is_refused(eta: object) -> None:
    for spec in SAMPLERS.values():
        if "eta" in spec.options.model_fields:
            with pytest.raises(ValidationError):
                spec.options.model_validate({"eta": eta})


def test_names_other_programs_use_are_unique() -> None:
    names = [name for spec in SAMPLERS.values() for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)
    assert {spec.label.lower() for spec in SAMPLERS.values()} <= set(names)


def test_the_names_of_a1111_are_found() -> None:
    found = {alias for spec in SAMPLERS.values() for alias in (spec.name, *spec.aliases)}
    known = (
        "DPM++ 2M, DPM++ SDE, DPM++ 2M SDE, DPM++ 2M SDE Heun, DPM++ 2S a, DPM++ 3M SDE, Euler a, Euler, "
        "LMS, Heun, DPM2, DPM2 a, DPM fast, DPM adaptive, DDIM, UniPC, LCM"
    )
    assert {name.lower() for name in known.split(", ")} <= found


def test_loading_the_samplers_imports_nothing_heavy() -> None:
    assert not heavy_imports("import latentry_samplers; latentry_samplers.register_samplers()")
