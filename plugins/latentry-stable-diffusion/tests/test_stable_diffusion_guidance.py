"""What stages may change about guidance: see latentry_sdk.guidance."""

from dataclasses import replace

import pytest
import torch

from latentry_sdk import DENOISE, JOB, PLACED, UNGUIDED, InvalidRequest
from latentry_sdk.guidance import GUIDED_STEPS, Row, add_guide, add_row
from latentry_stable_diffusion import denoising
from latentry_stable_diffusion.conditioning import Conditioning
from latentry_stable_diffusion.conditions import within
from latentry_stable_diffusion.embedding import EmbeddingCache
from latentry_stable_diffusion.prompts import encode_prompt

denoise = denoising.stage("denoise").run

ASKED = {"prompt": "a cat", "negative": "a dog", "guidance": 5.0}
X = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


class Counting:
    """A placed component that keeps what it was called with and what it gave."""

    def __init__(self, inner):
        self.inner, self.home, self.dtype, self.calls = inner, inner.home, inner.dtype, []

    def __call__(self, *arrays):
        self.calls.append((arrays, self.inner(*arrays)))
        return self.calls[-1][1]


@pytest.fixture
def began(tiny, start):
    """`began(name, **asked)`: a state with encoded prompts, and its UNet, which is watched."""

    def make(name="sd1", **asked):
        state = start(tiny(name).folder, **{**ASKED, **asked})
        unet = Counting(state[PLACED]["unet"])
        state = state.put(PLACED, {**state[PLACED], "unet": unet})
        return encode_prompt(state, EmbeddingCache()), unet

    return make


def asking(state):
    """The state of a job whose sampler asks for what is seen without the prompt."""
    job = state[JOB]
    sampler = replace(job.plan.sampler, unguided=True)
    return state.put(JOB, replace(job, plan=replace(job.plan, sampler=sampler)))


def clean(state, x=X, sigma=2.0):
    return denoise(state)[DENOISE](x, sigma)


def test_a_wrapper_that_does_nothing_changes_no_bit(began):
    state, _ = began()
    wrapped = add_guide(state, lambda inner: lambda rows, moment: inner(rows, moment))
    assert clean(wrapped).equal(clean(state))


def test_wrappers_are_composed_once_and_the_first_is_the_innermost(began):
    state, _ = began()
    made, called = [], []

    def named(name):
        def wrapper(inner):
            made.append(name)

            def guide(rows, moment):
                called.append((name, sorted(rows), moment.x.shape[0], moment.sigma, moment.step))
                return inner(rows, moment)

            return guide

        return wrapper

    denoiser = denoise(add_guide(add_guide(state, named("one")), named("two")))[DENOISE]
    for sigma in (10.0, 5.0, 2.0):
        denoiser(X[:1], sigma)
    assert made == ["one", "two"]
    assert called == [
        (name, ["negative", "prompt"], 1, sigma, step)
        for sigma, step in ((10.0, 1), (5.0, 2), (2.0, 2))
        for name in ("two", "one")
    ]


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_guide_gets_each_rows_output_and_the_latents(began, at_once):
    state, unet = began(at_once=at_once)
    kept = []

    def wrapper(inner):
        def guide(rows, moment):
            kept.append((rows, moment.x))
            return rows["negative"] * 2 - rows["prompt"]

        return guide

    found = clean(add_guide(state, wrapper))
    outputs = torch.cat([output for _, output in unet.calls]).unflatten(0, (3, 2))
    for name, index in (("negative", 0), ("prompt", 1)):
        assert torch.cat([rows[name] for rows, _ in kept]).equal(outputs[:, index])
    assert torch.cat([x for _, x in kept]).equal(X)
    torch.testing.assert_close(found, X - 2.0 * (outputs[:, 0] * 2 - outputs[:, 1]))


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_a_further_row_has_the_prompt_comes_last_and_is_announced(began, name, guidance, at_once):
    state, unet = began(name, guidance=guidance, at_once=at_once)
    without = clean(state)
    unet.calls.clear()
    places, seen = [], []

    def wrapper(inner):
        def guide(rows, moment):
            seen.append(rows["odd"])
            torch.testing.assert_close(rows["odd"], rows["prompt"])
            return inner(rows, moment)

        return guide

    found = clean(add_guide(add_row(state, Row("odd", places.append)), wrapper))
    torch.testing.assert_close(found, without, rtol=1e-4, atol=1e-4)
    count = 3 if guidance > 1 else 2
    assert places == [slice(count - 1, None, count)] * (3 // at_once)
    for (sample, _, text, *more), output in unet.calls:
        assert len(sample) == len(output) == len(text) == at_once * count
        for array in (sample, text, *more):
            assert array[places[0]].equal(array[count - 2 :: count])
    assert torch.cat(seen).equal(torch.cat([output[places[0]] for _, output in unet.calls]))


def test_outside_the_guided_steps_the_unet_gets_the_prompt_alone(began):
    state, unet = began("sdxl")
    plain, _ = began("sdxl", guidance=1.0)
    denoiser = denoise(state.put(GUIDED_STEPS, range(2, 3)))[DENOISE]
    first, second = (denoiser(X, sigma) for sigma in (10.0, 5.0))
    assert [len(arrays[0]) for arrays, _ in unet.calls] == [1, 1, 1, 2, 2, 2]
    assert first.equal(clean(plain, sigma=10.0))
    assert second.equal(clean(state, sigma=5.0))


@pytest.mark.parametrize(
    ("guided", "wanted"),
    [
        (range(1, 21), "ggg"),
        (range(1, 1), "---"),
        (range(1, 6), "gg--"),
        (range(4, 6), "-gg--"),
        (range(3, 9), "-ggg-"),
        (range(7, 21), "--g"),
    ],
)
def test_stretches_are_cut_where_guidance_begins_and_ends(guided, wanted):
    image = [Conditioning(f"c{until}", f"u{until}", until) for until in (4, 6, 20)]
    found = list(within(guided, image))
    assert "".join("g" if each.uncond else "-" for each in found) == wanted
    for step in range(1, 21):
        now = next(each for each in found if step <= each.until)
        original = next(each for each in image if step <= each.until)
        assert now.cond == original.cond
        assert now.uncond == (original.uncond if step in guided else None)


def test_a_family_that_does_not_read_these_keys_is_refused(began):
    state, _ = began()
    job = state[JOB]
    detected = replace(job.plan.detected, features=frozenset({"inpaint"}))
    other = state.put(JOB, replace(job, plan=replace(job.plan, detected=detected)))
    for add, item in ((add_guide, lambda inner: inner), (add_row, Row("odd", print))):
        with pytest.raises(InvalidRequest, match="'stable-diffusion' models cannot be changed"):
            add(other, item)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_what_is_seen_without_the_prompt_is_the_negatives_and_costs_no_call(began, name, at_once):
    state, unet = began(name, at_once=at_once)
    given = denoise(asking(state))
    guided = given[DENOISE](X, 2.0)
    calls = len(unet.calls)
    free = given[UNGUIDED](X.clone(), 2.0)
    assert len(unet.calls) == calls
    assert guided.equal(clean(state))
    alone, _ = began(name, prompt=ASKED["negative"], negative="", guidance=1.0)
    torch.testing.assert_close(free, clean(alone), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(free, guided, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("x", "sigma"), [(X + 1, 2.0), (X, 1.0), (X[:1], 2.0), (X * float("nan"), 2.0)])
def test_elsewhere_it_is_another_call(began, x, sigma):
    state, unet = began()
    given = denoise(asking(state))
    given[DENOISE](X, 2.0)
    calls = len(unet.calls)
    free = given[UNGUIDED](x, sigma)
    assert len(unet.calls) == calls + len(x)
    assert free.shape == x.shape
    assert given[UNGUIDED](X, 2.0).equal(denoise(asking(state))[UNGUIDED](X, 2.0))


@pytest.mark.parametrize("guided", [None, range(1, 2)])
def test_without_guidance_it_is_what_is_seen_with_the_prompt(began, guided):
    state, _ = began(guidance=1.0 if guided is None else 5.0)
    given = denoise(asking(state if guided is None else state.put(GUIDED_STEPS, guided)))
    assert given[DENOISE](X, 2.0).equal(given[UNGUIDED](X, 2.0))


def test_no_other_sampler_has_it(began):
    state, _ = began()
    assert UNGUIDED not in denoise(state)
