"""Strength cuts the noise levels, and the wrapper equals putting the known latents back after each step."""

from dataclasses import replace
from itertools import pairwise
from math import isclose, sqrt
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

import latentry_inpaint
from latentry_inpaint.keeping import graded, keep_known
from latentry_inpaint.masks import lifted
from latentry_inpaint.options import InpaintOptions, check
from latentry_inpaint.sampling import keep, start
from latentry_sdk import (
    DENOISE,
    JOB,
    KNOWN,
    LATENTS,
    MASK_LATENTS,
    NOISE,
    SIGMAS,
    UNGUIDED,
    InvalidRequest,
    ModelRange,
    Options,
    Request,
    State,
)
from latentry_sdk.noising import steps_left

SIGMAS_DOWN = (14.0, 5.0, 1.5, 0.4, 0.0)
LEVELS = ModelRange((0.4, 1.5, 5.0, 14.0))
values = st.floats(-3, 3)


def inner(x: float, sigma: float) -> float:
    """A denoiser that is not linear, so that what it is shown matters."""
    return x / (1 + sigma**2) + 0.1 * x**2 / (1 + sigma**3)


def state_for(
    strength: float = 1.0, *, features: frozenset[str] = frozenset(), space: str = "ve", **more: Any
) -> State:
    detected = SimpleNamespace(features=features, model_range=replace(LEVELS, space=space))
    options = InpaintOptions(strength=strength, **more)
    plan = SimpleNamespace(detected=detected, scheduler=None, options_for=lambda part: Options())
    job: Any = SimpleNamespace(plan=plan, options=lambda kind: options)
    noise: Any = SimpleNamespace(initial=lambda: 2.0)
    state = State().put(JOB, job).put(NOISE, noise).put(SIGMAS, SIGMAS_DOWN)
    return state.put(KNOWN, 0.5).put(MASK_LATENTS, 0.0).put(DENOISE, inner)


def euler(denoise: Any, x: float, sigmas: tuple[float, ...]) -> float:
    for now, nxt in pairwise(sigmas):
        x = x + (x - denoise(x, now)) / now * (nxt - now)
    return x


def put_back(x: float, sigmas: tuple[float, ...], *, mask: float, known: float, noise: float) -> float:
    """Euler with the known latents put back after each step, as diffusers does."""
    for now, nxt in pairwise(sigmas):
        x = x + (x - inner(x, now)) / now * (nxt - now)
        x = mask * x + (1 - mask) * (known + nxt * noise)
    return x


@given(values, values, st.sampled_from([0.0, 1.0]))
def test_the_wrapper_equals_putting_the_known_back_from_pure_noise(
    known: float, noise: float, mask: float
) -> None:
    x = noise * sqrt(1 + SIGMAS_DOWN[0] ** 2)
    wrapped = keep_known(inner, mask=mask, known=known, noise=noise, pure_start=SIGMAS_DOWN[0])
    wanted = put_back(x, SIGMAS_DOWN, mask=mask, known=known, noise=noise)
    assert isclose(euler(wrapped, x, SIGMAS_DOWN), wanted, rel_tol=1e-9, abs_tol=1e-9)


@given(values, values, st.sampled_from([0.0, 1.0]))
def test_the_wrapper_equals_putting_the_known_back_from_the_noised_picture(
    known: float, noise: float, mask: float
) -> None:
    sigmas = SIGMAS_DOWN[2:]
    x = known + sigmas[0] * noise
    wrapped = keep_known(inner, mask=mask, known=known, noise=noise)
    wanted = put_back(x, sigmas, mask=mask, known=known, noise=noise)
    assert isclose(euler(wrapped, x, sigmas), wanted, rel_tol=1e-9, abs_tol=1e-9)


def test_the_model_sees_the_known_under_its_noise_but_pure_noise_at_first() -> None:
    seen: list[float] = []

    def watch(x: float, sigma: float) -> float:
        seen.append(x)
        return x

    wrapped = keep_known(watch, mask=0.0, known=0.5, noise=2.0, pure_start=14.0)
    assert [wrapped(99.0, sigma) for sigma in (14.0, 5.0)] == [0.5, 0.5]
    assert seen == [99.0, 10.5]


def odd(grey: int) -> int:
    """Greys count two by two."""
    return grey - 1 + grey % 2


def as_latent(grey: int) -> float:
    """The mask that the model gets for a grey."""
    value = lifted(Image.new("L", (1, 1), grey)).getpixel((0, 0))
    assert isinstance(value, int)
    return value / 255


@given(values, values, st.integers(0, 255))
def test_a_grey_is_put_back_until_the_noise_has_fallen_to_its_share(
    known: float, noise: float, grey: int
) -> None:
    """Of the levels' timesteps 3, 2, 1, 0 there remain 1, 2/3, 1/3 and 0 of the first."""
    x = wanted = known + SIGMAS_DOWN[0] * noise
    for (now, nxt), remaining in zip(pairwise(SIGMAS_DOWN), (1, 2 / 3, 1 / 3, 0), strict=True):
        wanted = wanted + (wanted - inner(wanted, now)) / now * (nxt - now)
        if grey == 0 or odd(grey) / 255 < remaining:
            wanted = known + nxt * noise
    wrapped = graded(inner, mask=as_latent(grey), known=known, noise=noise, levels=LEVELS, first=14.0)
    assert isclose(euler(wrapped, x, SIGMAS_DOWN), wanted, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("grey", "calls"), [(0, 0), (1, 1), (84, 1), (85, 2), (168, 2), (171, 3), (254, 3), (255, 4)]
)
def test_a_lighter_grey_is_painted_in_more_steps(grey: int, calls: int) -> None:
    wrapped = graded(
        lambda x, sigma: 99.0, mask=as_latent(grey), known=0.5, noise=2.0, levels=LEVELS, first=14.0
    )
    assert sum(wrapped(1.0, sigma) == 99.0 for sigma in SIGMAS_DOWN[:-1]) == calls


@pytest.mark.parametrize("features", [frozenset[str](), frozenset({"inpaint"})])
def test_greys_join_in_for_models_that_take_a_mask_too(features: frozenset[str]) -> None:
    state = state_for(features=features, differential=True).put(MASK_LATENTS, as_latent(128))
    assert keep(state)[DENOISE](99.0, 14.0) == 0.5
    assert keep(state)[DENOISE](99.0, 0.4) != 0.5


@pytest.mark.parametrize("content", ["original", "latent_noise", "latent_nothing"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_greys_start_from_the_noised_picture(strength: float, content: str) -> None:
    state = state_for(strength, content=content, differential=True)
    assert start(state.put(MASK_LATENTS, as_latent(254)))[LATENTS] == 0.5 + 14 * 2
    plain = state_for(strength, content=content).put(MASK_LATENTS, 1.0)
    assert start(state.put(MASK_LATENTS, as_latent(255)))[LATENTS] == start(plain)[LATENTS]


def test_strength_one_starts_from_noise_alone() -> None:
    assert start(state_for(1.0))[LATENTS] == 2 * sqrt(1 + 14**2)


@pytest.mark.parametrize("strength", [0.5, 0.9999])
def test_a_lower_strength_starts_from_the_noised_picture(strength: float) -> None:
    assert start(state_for(strength))[LATENTS] == 0.5 + 14 * 2


def test_a_flow_model_starts_on_the_line_between_picture_and_noise() -> None:
    assert start(state_for(0.5, space="flow"))[LATENTS] == (1 - 14) * 0.5 + 14 * 2
    assert start(state_for(1.0, space="flow"))[LATENTS] == 14 * 2


@pytest.mark.parametrize(
    ("content", "clean"), [("original", 0.5), ("fill", 0.5), ("latent_noise", 2.0), ("latent_nothing", 0.0)]
)
@pytest.mark.parametrize("mask", [0.0, 0.25, 1.0])
def test_what_is_under_the_mask_is_noised_as_the_content_says(
    content: str, clean: float, mask: float
) -> None:
    state = state_for(0.5, content=content).put(MASK_LATENTS, mask)
    assert start(state)[LATENTS] == (1 - mask) * 0.5 + mask * clean + 14 * 2


@pytest.mark.parametrize("content", ["original", "fill", "latent_noise", "latent_nothing"])
def test_strength_one_knows_no_content(content: str) -> None:
    state = state_for(1.0, content=content).put(MASK_LATENTS, 1.0)
    assert start(state)[LATENTS] == 2 * sqrt(1 + 14**2)


def test_a_model_that_takes_the_mask_keeps_its_denoiser() -> None:
    assert keep(state_for(features=frozenset({"inpaint"})))[DENOISE] is inner
    assert keep(state_for())[DENOISE](99.0, 5.0) == 0.5


@pytest.mark.parametrize("options", [{}, {"differential": True}])
def test_what_is_seen_without_the_prompt_is_kept_in_the_same_way(options: dict[str, Any]) -> None:
    state = state_for(**options).put(UNGUIDED, lambda x, sigma: inner(x, sigma) + 1)
    for mask in (0.0, 1.0):
        kept = keep(state.put(MASK_LATENTS, mask))
        assert kept[UNGUIDED](99.0, 5.0) == kept[DENOISE](99.0, 5.0) + mask
    assert UNGUIDED not in keep(state_for(**options))


@given(st.integers(1, 1000), st.floats(0, 1, exclude_min=True))
def test_the_check_refuses_exactly_the_strengths_that_leave_no_step(steps: int, strength: float) -> None:
    request = Request(task="inpaint", steps=steps, inputs={"mask": "m.png"})
    options = InpaintOptions(strength=strength)
    assert 0 <= steps_left(steps, strength) <= steps
    if int(steps * strength):
        check(request, options)
    else:
        with pytest.raises(InvalidRequest, match="leaves no step"):
            check(request, options)


@pytest.mark.parametrize("strength", [0, -1, 1.0001, float("nan"), float("inf"), True, "much"])
def test_a_strength_out_of_range_is_refused(strength: Any) -> None:
    with pytest.raises(ValidationError):
        InpaintOptions(strength=strength)


def test_each_stage_reads_only_what_it_declares() -> None:
    specs = {spec.name: spec for spec in latentry_inpaint.register_stages()}
    state = State()
    for spec, full in ((specs["inpaint.start"], state_for(0.5)), (specs["inpaint.keep"], state_for())):
        for key in spec.needs:
            state = state.put(key, full[key])
        after = spec.run(state)
        assert all(key in after for key in spec.gives)


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_the_mask_may_lack_where_there_is_new_canvas(side: str) -> None:
    request = Request(task="inpaint", inputs={"image": "a.png"})
    check(request, InpaintOptions(**{side: 1}))
    with pytest.raises(InvalidRequest, match="needs the input 'mask'"):
        check(request, InpaintOptions())
    with pytest.raises(InvalidRequest, match="invert needs"):
        check(request, InpaintOptions(**{side: 1}, invert=True))


def test_the_task_takes_an_image_and_a_mask() -> None:
    (task,) = latentry_inpaint.register_tasks()
    assert [(spec.name, spec.kind, spec.required) for spec in task.inputs] == [
        ("image", "image", True),
        ("mask", "mask", False),
    ]
    assert {stage.name for stage in latentry_inpaint.register_stages()} <= set(task.stages)
