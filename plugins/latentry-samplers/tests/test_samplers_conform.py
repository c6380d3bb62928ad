"""Every sampler of this plugin keeps the contract, and the suite notices those that do not."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import latentry_samplers
from latentry_sdk import Number, Options, SamplerSpec
from latentry_sdk.testing import Gaussian, SamplerConformance, heavy_imports, measured_order

SAMPLERS = {spec.name: spec for spec in latentry_samplers.register_samplers()}


class FullNoise(Options):
    """DDIM as DDPM."""

    eta: Number = 1.0


DDPM = replace(SAMPLERS["ddim"], name="ddpm", options=FullNoise)


class TestSamplers(SamplerConformance):
    """The five, and DDIM with noise."""

    @pytest.fixture(params=[*SAMPLERS.values(), DDPM], ids=lambda spec: spec.name)
    def spec(self, request: pytest.FixtureRequest) -> SamplerSpec:
        spec: SamplerSpec = request.param
        return spec


@pytest.mark.parametrize(("name", "claim"), [("euler", 2), ("heun", 1), ("heun", 3), ("euler_ancestral", 2)])
def test_a_wrong_order_claim_fails(name: str, claim: int) -> None:
    wrong = replace(SAMPLERS[name], order=claim)
    with pytest.raises(AssertionError, match=f"claims {claim}"):
        SamplerConformance().test_its_order_of_accuracy_is_as_claimed(wrong)


def test_a_sampler_wrong_in_flow_space_cannot_claim_it() -> None:
    wrong = replace(SAMPLERS["euler_ancestral"], spaces=frozenset({"flow"}))
    with pytest.raises(AssertionError):
        SamplerConformance().test_its_order_of_accuracy_is_as_claimed(wrong)
    with pytest.raises(AssertionError):
        SamplerConformance().test_samples_spread_as_the_data_does(wrong)


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
    SamplerConformance().test_its_order_of_accuracy_is_as_claimed(spec)


def test_a_sampler_that_works_in_place_fails() -> None:
    def euler_in_place(denoise: Any, x: Any, sigmas: Any, *, on_step: Any = None) -> Any:
        for now, nxt in pairwise(sigmas):
            x += (x - denoise(x, now)) / now * (nxt - now)
        return x

    with pytest.raises(TypeError, match="in place"):
        SamplerConformance().test_floats_and_arrays_give_the_same(SamplerSpec("in_place", euler_in_place))


def test_a_sampler_with_too_much_noise_fails() -> None:
    def loud(denoise: Any, x: Any, sigmas: Any, *, noise: Callable[[float, float], Any]) -> Any:
        return SAMPLERS["euler_ancestral"].sample(
            denoise, x, sigmas, noise=lambda now, nxt: noise(now, nxt) * 1.3
        )

    wrong = SamplerSpec("loud", loud, stochastic=True)
    with pytest.raises(AssertionError):
        SamplerConformance().test_samples_spread_as_the_data_does(wrong)
    assert measured_order(wrong, "ve") < 0.5


@pytest.mark.parametrize("spec", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_torch_give_what_floats_give(spec: SamplerSpec, dtype: str) -> None:
    starts, sigmas, denoise = [-4.0, 0.5, 7.0], (10.0, 5.0, 2.0, 0.5, 0.0), Gaussian().denoise
    array = np.array(starts, dtype)
    tensor = torch.tensor(starts, dtype=getattr(torch, dtype))
    noise: dict[str, Any] = {"noise": lambda now, nxt: 0.5} if spec.stochastic else {}
    floats = [spec.sample(denoise, start, sigmas, **noise) for start in starts]
    from_array = spec.sample(denoise, array, sigmas, **noise)
    from_tensor = spec.sample(denoise, tensor, sigmas, **noise)
    assert (from_array.dtype, from_tensor.dtype) == (array.dtype, tensor.dtype)
    np.testing.assert_allclose(from_array, floats, rtol=1e-5)
    np.testing.assert_allclose(from_tensor.numpy(), floats, rtol=1e-5)
    assert array.tolist() == tensor.tolist() == starts


def test_ddim_without_eta_is_euler() -> None:
    sigmas, denoise = (10.0, 5.0, 2.0, 0.5, 0.0), Gaussian().denoise

    def noise(now: float, nxt: float) -> float:
        raise AssertionError("noise was asked for")

    ddim = SAMPLERS["ddim"].sample(denoise, 3.0, sigmas, noise=noise)
    assert ddim == SAMPLERS["euler"].sample(denoise, 3.0, sigmas)


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan"), True, "much"])
def test_an_eta_out_of_range_is_refused(eta: object) -> None:
    for name in ("ddim", "euler_ancestral"):
        with pytest.raises(ValidationError):
            SAMPLERS[name].options.model_validate({"eta": eta})


def test_names_other_programs_use_are_unique() -> None:
    names = [name for spec in SAMPLERS.values() for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)
    assert {spec.label.lower() for spec in SAMPLERS.values()} <= set(names)


def test_loading_the_samplers_imports_nothing_heavy() -> None:
    assert not heavy_imports("import latentry_samplers; latentry_samplers.register_samplers()")
