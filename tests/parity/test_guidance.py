"""Guidance as plugins change it, against the pipelines and guiders of diffusers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.guiders import ClassifierFreeGuidance, ClassifierFreeZeroStarGuidance

from latentry import Host, Request
from latentry_sdk import LATENTS

PIXELS, STEPS, SCALE = 64, 10, 5.0
ASKED = {"prompt": "a red fish", "width": PIXELS, "height": PIXELS}
SCHEDULERS = {"euler": "normal", "ddim": "ddim_uniform"}

both_models = pytest.mark.parametrize("name", ["sd", "sdxl"])
both_samplers = pytest.mark.parametrize("sampler", SCHEDULERS)


def noise(seed: int = 3) -> Any:
    side = PIXELS // 4
    return torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(seed))


def request(folder: Any, options: dict[str, Any], sampler: str = "ddim", **asked: Any) -> Request:
    return Request(
        task="txt2img",
        model=str(folder),
        sampler=sampler,
        scheduler=SCHEDULERS[sampler],
        options=options,
        **{**ASKED, "steps": STEPS, "guidance": SCALE, "seed": 3, **asked},
    )


def guided(model: Any, guider: Any) -> Any:
    """The latents of DDIM over what a guider of diffusers makes of the UNet's outputs."""
    pipeline = model.pipeline
    scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="leading", set_alpha_to_one=True
    )
    scheduler.set_timesteps(STEPS)
    found = pipeline.encode_prompt(
        prompt=ASKED["prompt"],
        negative_prompt="a cat",
        device="cpu",
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
    )
    added = [None, None]
    if len(found) > 2:
        ids = torch.tensor([[PIXELS, PIXELS, 0, 0, PIXELS, PIXELS]], dtype=torch.float32)
        added = [{"text_embeds": pooled, "time_ids": ids} for pooled in found[2:]]
    x = noise()
    for step, timestep in enumerate(scheduler.timesteps):
        with torch.no_grad():
            cond, uncond = (
                pipeline.unet(x, timestep, text, added_cond_kwargs=more).sample
                for text, more in zip(found[:2], added, strict=True)
            )
        guider.set_state(step=step, num_inference_steps=STEPS, timestep=timestep)
        x = scheduler.step(guider.forward(cond, uncond).pred, timestep, x).prev_sample
    return x


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows any UNet gets, call by call."""
    counts: list[int] = []
    forward = UNet2DConditionModel.forward

    def counted(unet: Any, sample: Any, *more: Any, **named: Any) -> Any:
        counts.append(len(sample))
        return forward(unet, sample, *more, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", counted)
    return counts


def without_guidance(last: int) -> Callable[..., dict[str, Any]]:
    """Turns guidance off after a step, from 0, as the documentation of diffusers shows."""

    def after_step(pipeline: Any, step: int, values: dict[str, Any]) -> dict[str, Any]:
        if step != last:
            return {}
        pipeline._guidance_scale = 0.0
        return {name: values[name].chunk(2)[-1] for name in values if name != "latents"}

    return after_step


@both_models
@both_samplers
@pytest.mark.parametrize("phi", [0.7, 1.0])
def test_rescaled_guidance_equals_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    phi: float,
) -> None:
    model = small(name)
    result = host.run(request(model.folder, {"guidance_rescale": {"guidance_rescale": phi}}, sampler))
    latents, picture = reference(
        model,
        sampler,
        "txt2img",
        **ASKED,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        guidance_rescale=phi,
        latents=noise(),
    )
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@both_models
@both_samplers
@pytest.mark.parametrize("end", [0.3, 0.65])
def test_guidance_that_ends_equals_diffusers_and_asks_for_the_prompt_alone(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    rows: list[int],
    *,
    name: str,
    sampler: str,
    end: float,
) -> None:
    model, last = small(name), int(STEPS * end) - 1
    changed = ["prompt_embeds", *(["add_text_embeds", "add_time_ids"] if name == "sdxl" else [])]
    result = host.run(request(model.folder, {"guidance_end": {"guidance_end": end}}, sampler))
    ours = rows.copy()
    latents, picture = reference(
        model,
        sampler,
        "txt2img",
        after_step=without_guidance(last),
        **ASKED,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        latents=noise(),
        callback_on_step_end_tensor_inputs=["latents", *changed],
    )
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1
    assert ours == rows[len(ours) :] == [2] * (last + 1) + [1] * (STEPS - last - 1)
    assert result.applied["guided_steps"] == list(range(1, last + 2))


@both_models
@pytest.mark.parametrize(("start", "end"), [(0.2, 1.0), (0.25, 0.75), (0.5, 0.5)])
def test_guidance_between_two_steps_equals_a_guider_of_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    rows: list[int],
    *,
    name: str,
    start: float,
    end: float,
) -> None:
    model = small(name)
    options = {"guidance_end": {"guidance_start": start, "guidance_end": end}}
    host.run(request(model.folder, options, negative="a cat"))
    first, last = int(start * STEPS), int(end * STEPS)
    assert rows == [1] * first + [2] * (last - first) + [1] * (STEPS - last)
    guider = ClassifierFreeGuidance(guidance_scale=SCALE, start=start, stop=end)
    reference.assert_same(watcher.after["sample"][LATENTS], guided(model, guider))


@both_models
@pytest.mark.parametrize("zero_steps", [0, 2])
def test_cfg_zero_equals_the_guider_of_diffusers(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, *, name: str, zero_steps: int
) -> None:
    model = small(name)
    options = {"cfg_zero": {"cfg_zero": True, "zero_steps": zero_steps}}
    host.run(request(model.folder, options, negative="a cat"))
    ours = watcher.after["sample"][LATENTS]
    guider = ClassifierFreeZeroStarGuidance(guidance_scale=SCALE, zero_init_steps=zero_steps)
    reference.assert_same(ours, guided(model, guider))
    plain = guided(model, ClassifierFreeGuidance(guidance_scale=SCALE))
    assert float((ours - plain).abs().max()) > 1e-2 * float(plain.std())


EVERY_WAY: dict[str, dict[str, Any]] = {
    "guidance_rescale": {"guidance_rescale": 0.7},
    "guidance_end": {"guidance_start": 0.2, "guidance_end": 0.8},
    "cfg_zero": {"cfg_zero": True, "zero_steps": 1},
}


@both_models
def test_an_image_of_a_batch_equals_the_single_run_with_all_of_them(
    host: Host, small: Callable[[str], Any], watcher: Any, name: str
) -> None:
    folder = small(name).folder
    host.run(request(folder, EVERY_WAY, "euler", batch=3))
    batch = watcher.after["sample"][LATENTS]
    for index in range(3):
        host.run(request(folder, EVERY_WAY, "euler", seed=3 + index))
        assert batch[index : index + 1].equal(watcher.after["sample"][LATENTS])


def test_a_batch_given_together_equals_the_single_runs_up_to_rounding(
    host: Host, small: Callable[[str], Any], watcher: Any
) -> None:
    folder, found = small("sdxl").folder, []
    for more in ({}, {"stable-diffusion.denoise": {"at_once": 3}}):
        host.run(request(folder, {**EVERY_WAY, **more}, "euler", batch=3))
        found.append(watcher.after["sample"][LATENTS])
    assert 0 < float((found[0] - found[1]).abs().max()) <= 1e-4 * float(found[0].std())


@pytest.mark.parametrize("owner", EVERY_WAY)
def test_each_changes_the_picture_and_says_so(
    host: Host, small: Callable[[str], Any], watcher: Any, owner: str
) -> None:
    folder, found = small("sd").folder, []
    for options in ({}, {owner: EVERY_WAY[owner]}):
        result = host.run(request(folder, options))
        found.append(watcher.after["sample"][LATENTS])
    assert float((found[0] - found[1]).abs().max()) > 1e-2 * float(found[0].std())
    assert result.warnings == ()
    assert result.applied.keys() - host.run(request(folder, {})).applied.keys() == {
        {"guidance_end": "guided_steps"}.get(owner, owner)
    }


@pytest.mark.parametrize("owner", EVERY_WAY)
def test_without_guidance_each_tells_that_it_does_nothing(
    host: Host, small: Callable[[str], Any], watcher: Any, owner: str
) -> None:
    folder, found = small("sd").folder, []
    for options in ({}, {owner: EVERY_WAY[owner]}):
        result = host.run(request(folder, options, guidance=1.0))
        found.append(watcher.after["sample"][LATENTS])
    assert found[0].equal(found[1])
    assert result.warnings == (f"{owner} has no effect: guidance is off",)
