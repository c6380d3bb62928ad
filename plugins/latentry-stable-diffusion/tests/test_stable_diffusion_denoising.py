from dataclasses import replace

import pytest
import torch

from latentry_sdk import (
    DENOISE,
    JOB,
    MASK_LATENTS,
    MASKED_LATENTS,
    NOISE,
    PLACED,
    PROMPTS,
    Job,
    Prompts,
    Span,
    TimedPrompt,
)
from latentry_stable_diffusion import denoising
from latentry_stable_diffusion.embedding import EmbeddingCache
from latentry_stable_diffusion.noise import BrownianNoise, noise
from latentry_stable_diffusion.prompts import encode_prompt

denoise = denoising.stage("denoise").run

ASKED = {"prompt": "a cat", "negative": "a dog", "guidance": 5.0}


def denoiser(state):
    return denoise(encode_prompt(state, EmbeddingCache()))[DENOISE]


class Counting:
    """A placed component that keeps what it was called with."""

    def __init__(self, inner):
        self.inner, self.home, self.dtype, self.calls = inner, inner.home, inner.dtype, []

    def __call__(self, *arrays):
        self.calls.append(arrays)
        return self.inner(*arrays)


def counted(state):
    unet = Counting(state[PLACED]["unet"])
    return state.put(PLACED, {**state[PLACED], "unet": unet}), unet


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl", "sdxl-refiner"])
@pytest.mark.parametrize("timestep", [10, 500, 999])
def test_the_clean_latents_equal_those_of_diffusers(tiny, start, name, timestep):
    """DDIM's pred_original_sample for the same latents, which it holds scaled to unit variance."""
    pipeline, state = tiny(name).pipeline, start(tiny(name).folder, **ASKED)
    sigma = state[JOB].plan.detected.model_range.sigmas[timestep]
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * max(sigma, 1)
    scaled = x / (sigma**2 + 1) ** 0.5
    output = guided_output(pipeline, scaled, timestep)
    pipeline.scheduler.set_timesteps(1000)
    wanted = pipeline.scheduler.step(output, timestep, scaled).pred_original_sample
    torch.testing.assert_close(denoiser(state)(x, sigma), wanted, rtol=1e-3, atol=1e-3)


def guided_output(pipeline, scaled, timestep):
    """The UNet's output as the pipelines of diffusers compute it."""
    with torch.no_grad():
        found = pipeline.encode_prompt(
            prompt=ASKED["prompt"],
            negative_prompt=ASKED["negative"],
            device="cpu",
            num_images_per_prompt=2,
            do_classifier_free_guidance=True,
        )
        added = added_conditions(pipeline, found) if len(found) > 2 else None
        uncond, cond = pipeline.unet(
            torch.cat([scaled, scaled]), timestep, torch.cat([found[1], found[0]]), added_cond_kwargs=added
        ).sample.chunk(2)
    return uncond + ASKED["guidance"] * (cond - uncond)


def added_conditions(pipeline, found):
    refiner = pipeline.config.get("requires_aesthetics_score")
    ends = [(2.5,), (6.0,)] if refiner else [(16, 16)] * 2
    ids = torch.tensor([[16.0, 16.0, 0, 0, *end] for end in ends]).repeat_interleave(2, dim=0)
    return {"text_embeds": torch.cat([found[3], found[2]]), "time_ids": ids}


def test_sizes_are_given_as_height_and_width(tiny, start):
    state, unet = counted(start(tiny("sdxl").folder, size=(32, 16), **ASKED))
    denoiser(state)(torch.zeros(1, 4, 8, 16), 1.0)
    assert unet.calls[0][4].tolist() == [[16, 32, 0, 0, 16, 32]] * 2


def test_guidance_of_one_calls_the_unet_with_one_row(tiny, start):
    state, unet = counted(start(tiny("sdxl").folder, prompt="a", guidance=1))
    assert denoiser(state)(torch.zeros(1, 4, 8, 8), 1.0).shape == (1, 4, 8, 8)
    assert [len(array) for array in unet.calls[0] if array.ndim > 1] == [1, 1, 1, 1]


def test_conditions_are_made_once(tiny, start):
    state, unet = counted(start(tiny("sdxl-inpaint").folder, **ASKED))
    clean = denoiser(state)
    for sigma in (3.0, 2.0):
        clean(torch.zeros(2, 4, 8, 8), sigma)
    first, *others = unet.calls
    assert len(others) == 3
    assert all(first[i] is other[i] for i in (2, 3, 4) for other in others)


def test_an_image_of_a_batch_equals_the_single_one_to_the_last_bit(tiny, start):
    clean = denoiser(start(tiny("sd1").folder, **ASKED))
    x = torch.randn(3, 4, 8, 8)
    assert clean(x, 2.0)[1:2].equal(clean(x[1:2], 2.0))


def test_an_image_can_be_asked_for_alone_with_its_own_prompt(tiny, start):
    prompts = [
        Prompts((TimedPrompt(20, ((Span(text),),)),), (TimedPrompt(20, ((),)),))
        for text in ("a cat", "a dog")
    ]
    state, unet = counted(start(tiny("sd1").folder, guidance=1).put(PROMPTS, tuple(prompts)))
    clean, x = denoiser(state), torch.randn(2, 4, 8, 8)
    both = clean(x, 2.0)
    assert [clean.alone(i)(x[i : i + 1], 2.0).equal(both[i : i + 1]) for i in (0, 1)] == [True, True]
    assert not clean.alone(0)(x[1:], 2.0).equal(both[1:])
    assert [len(arrays[0]) for arrays in unet.calls] == [1] * 5


@pytest.mark.parametrize("at_once", [2, 3, 64])
def test_the_unet_gets_no_more_images_at_once_than_was_asked_for(tiny, start, at_once):
    x = torch.randn(8, 4, 8, 8)
    state, unet = counted(start(tiny("sdxl-inpaint").folder, at_once=at_once, **ASKED))
    denoise = denoiser(state)
    found = denoise(x, 2.0)
    rows = [2 * len(part) for part in x.split(at_once)]
    assert [{len(array) for array in (sample, *more)} for sample, _, *more in unet.calls] == [
        {n} for n in rows
    ]
    alone = denoiser(start(tiny("sdxl-inpaint").folder, **ASKED))(x, 2.0)
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)
    assert denoise(x, 2.0).equal(found)


def test_images_with_other_prompts_are_given_at_once_where_these_are_as_long(tiny, start):
    texts = ["a cat", "a dog", ["a cat", "a dog"], "a cow", "a fox"]

    def prompts(text):
        chunks = tuple((Span(each),) for each in ([text] if isinstance(text, str) else text))
        return Prompts((TimedPrompt(20, chunks),), (TimedPrompt(20, ((),)),))

    def began(images, **asked):
        state = start(tiny("sd1").folder, **{**ASKED, **asked}).put(PROMPTS, tuple(map(prompts, images)))
        return counted(state)

    x = torch.randn(5, 4, 8, 8)
    state, unet = began(texts, at_once=4)
    found = denoiser(state)(x, 2.0)
    assert [len(sample) for sample, *_ in unet.calls] == [4, 2, 4]
    for index, text in enumerate(texts):
        alone = denoiser(began([text])[0])(x[index : index + 1], 2.0)
        torch.testing.assert_close(found[index : index + 1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["sd1-inpaint", "sdxl-inpaint"])
def test_an_inpainting_unet_gets_a_hard_mask_and_the_masked_latents(tiny, start, name):
    state, unet = counted(start(tiny(name).folder, **ASKED))
    soft = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    masked = torch.randn(1, 4, 8, 8)
    state = state.put(MASK_LATENTS, soft).put(MASKED_LATENTS, masked)
    denoiser(state)(torch.zeros(2, 4, 8, 8), 1.0)
    for sample, *_ in unet.calls:
        assert sample.shape == (2, 9, 8, 8)
        torch.testing.assert_close(sample[:, 4:5], (soft >= 0.5).float().expand(2, 1, 8, 8))
        torch.testing.assert_close(sample[:, 5:], masked.expand(2, 4, 8, 8))


def test_an_inpainting_unet_without_a_mask_gets_a_full_one_over_grey(tiny, start):
    state, unet = counted(start(tiny("sd1-inpaint").folder, **ASKED))
    denoiser(state)(torch.zeros(1, 4, 8, 8), 1.0)
    with torch.no_grad():
        grey = tiny("sd1-inpaint").pipeline.vae.encode(torch.zeros(1, 3, 16, 16)).latent_dist.mode() * 0.3
    torch.testing.assert_close(unet.calls[0][0][:1, 5:], grey)
    assert unet.calls[0][0][:, 4].eq(1).all()


def test_noise_equals_that_of_diffusers_and_of_each_seed_alone(tiny, start):
    from diffusers.utils.torch_utils import randn_tensor

    seeds = (7, 2**64 - 1)
    state = noise(start(tiny("sd1").folder, seeds=seeds, size=(32, 16)))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    wanted = randn_tensor((2, 4, 8, 16), generator=generators)
    assert state[NOISE].initial().equal(wanted)
    alone = noise(start(tiny("sd1").folder, seeds=seeds[1:], size=(32, 16)))[NOISE]
    assert alone.initial().equal(wanted[1:])
    assert alone.between(2.0, 1.0).equal(state[NOISE].between(2.0, 1.0)[1:])


def test_the_initial_noise_stays_and_later_noise_is_fresh(tiny, start):
    drawn = noise(start(tiny("sd1").folder))[NOISE]
    first, second, third = drawn.initial(), drawn.between(2.0, 1.0), drawn.between(2.0, 1.0)
    assert drawn.initial().equal(first)
    assert not second.equal(first)
    assert not third.equal(second)


def brownian(seeds=(7, 8), highest=15.0):
    return BrownianNoise(seeds, (4, 8, 8), "cpu", highest)


def test_a_brownian_sampler_gets_one_motion_an_image(tiny, start):
    plain = start(tiny("sd1").folder)
    plan = plain[JOB].plan
    plan = replace(plan, sampler=replace(plan.sampler, stochastic="brownian"))
    asked = plain.put(JOB, Job("test", plan, notify=lambda event: None))
    assert not isinstance(noise(plain)[NOISE], BrownianNoise)
    drawn = noise(asked)[NOISE]
    assert isinstance(drawn, BrownianNoise)
    assert drawn.initial().equal(noise(plain)[NOISE].initial())
    highest = plan.detected.model_range.sigma_max
    assert drawn.between(highest, 0.0).isfinite().all()


def test_parts_of_a_brownian_motion_add_up():
    drawn = brownian()
    whole, upper, lower = drawn.between(4.0, 1.0), drawn.between(4.0, 3.0), drawn.between(3.0, 1.0)
    torch.testing.assert_close(whole * 3**0.5, upper + lower * 2**0.5)


def test_a_brownian_motion_does_not_depend_on_the_order_of_questions():
    asked = [(9.0, 4.0), (4.0, 0.5), (9.0, 6.0)]
    one, other = brownian(), brownian()
    forth = [one.between(*interval) for interval in asked]
    back = [other.between(*interval) for interval in reversed(asked)]
    assert all(a.equal(b) for a, b in zip(forth, reversed(back), strict=True))


def test_brownian_noise_is_unit_normal_and_fresh_in_each_interval():
    drawn = BrownianNoise(range(4), (4, 32, 32), "cpu", 15.0)
    steps = torch.stack([drawn.between(*interval) for interval in ((15.0, 7.0), (7.0, 6.9), (6.9, 0.03))])
    table = torch.corrcoef(torch.cat([steps.flatten(1), drawn.initial().flatten()[None]]))
    torch.testing.assert_close(table, torch.eye(4), rtol=0, atol=5 / 16384**0.5)
    torch.testing.assert_close(steps.std(dim=(1, 2, 3, 4)), torch.ones(3), rtol=0, atol=5 / 32768**0.5)


def test_brownian_noise_of_an_image_is_that_of_its_seed_alone():
    together, alone = brownian(), brownian(seeds=(8,))
    assert together.initial()[1:].equal(alone.initial())
    assert together.between(3.0, 1.0)[1:].equal(alone.between(3.0, 1.0))


def test_brownian_noise_is_that_of_diffusers():
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    theirs = BrownianTreeNoiseSampler(torch.zeros(2, 4, 8, 8), 0.0, 15.0, seed=[7, 8])
    for now, nxt in ((9.0, 4.0), (9.0, 6.5), (4.0, 0.5)):
        torch.testing.assert_close(brownian().between(now, nxt), theirs(torch.tensor(now), torch.tensor(nxt)))
