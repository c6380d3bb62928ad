"""A base model and a refiner give what two pipelines of diffusers give, that share the steps."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from PIL import Image, ImageDraw

from latentry import Host, Request, UserError
from latentry_sdk import LATENTS, ModelLoaded, Stepped

PROMPT, SIDE = "a red fish", 64
SCHEDULERS = {"euler": "normal", "ddim": "ddim_uniform"}
BOTH = {"prompt": PROMPT, "negative_prompt": "fog", "guidance_scale": 5.0}


def photo() -> Image.Image:
    """A colourful picture."""
    row, column = np.mgrid[:SIDE, :SIDE] * 255 // SIDE
    return Image.fromarray(np.stack([row, column, 255 - (row + column) // 2], axis=-1).astype(np.uint8))


def request(base: Any, refiner: Any, sampler: str = "euler", switch_at: float = 0.8, **asked: Any) -> Request:
    fields = {"task": "txt2img", "steps": 10, "seed": 3, "width": SIDE, "height": SIDE, **asked}
    options = {"refiner": {"refiner": str(refiner), "switch_at": switch_at}, **fields.pop("options", {})}
    return Request(
        model=str(base), prompt=PROMPT, negative="fog", guidance=5.0,
        sampler=sampler, scheduler=SCHEDULERS[sampler], options=options, **fields,
    )  # fmt: skip


def pipeline(kind: Any, model: Any, scheduler: Any, **config: Any) -> Any:
    made = kind(**{**model.parts, "scheduler": scheduler, **config})
    made.set_progress_bar_config(disable=True)
    return made


def refined(model: Any, scheduler: Any, latents: Any, **asked: Any) -> tuple[Any, Any]:
    """Latents and picture of diffusers' second pipeline."""
    kept: dict[str, Any] = {}

    def keep(_pipeline: Any, _step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        kept.update(values)
        return {}

    refiner = pipeline(StableDiffusionXLImg2ImgPipeline, model, scheduler, requires_aesthetics_score=True)
    picture = refiner(image=latents, callback_on_step_end=keep, **BOTH, **asked).images[0]
    return kept["latents"], picture


@pytest.mark.parametrize("switch_at", [0.2, 0.5, 0.8, 0.85])
@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_text_to_image_equals_diffusers(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, *, sampler: str, switch_at: float
) -> None:
    base, refiner = small("sdxl"), small("sdxl-refiner")
    result = host.run(request(base.folder, refiner.folder, sampler, switch_at))
    noise = torch.randn((1, 4, SIDE // 4, SIDE // 4), generator=torch.Generator().manual_seed(3))
    first = pipeline(StableDiffusionXLPipeline, base, reference._scheduler(sampler))
    latents = first(
        **BOTH, width=SIDE, height=SIDE, latents=noise, num_inference_steps=10,
        denoising_end=switch_at, output_type="latent",
    ).images  # fmt: skip
    latents, picture = refined(
        refiner, reference._scheduler(sampler), latents, denoising_start=switch_at, num_inference_steps=10
    )
    assert result.applied["steps"] == 10
    assert result.applied["refiner"]["variant"] == "sdxl-refiner"
    reference.assert_same(watcher.after["refiner"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_image_to_image_equals_diffusers(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, *, sampler: str, strength: float
) -> None:
    """The models change at a timestep, whatever the strength."""
    base, refiner = small("sdxl"), small("sdxl-refiner")
    options, inputs = {"img2img": {"strength": strength}}, {"image": photo()}
    asked = request(base.folder, refiner.folder, sampler, task="img2img", options=options, inputs=inputs)
    result = host.run(asked)
    with torch.no_grad():
        pixels = torch.from_numpy(np.asarray(photo(), dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        known = base.pipeline.vae.encode(pixels).latent_dist.mode() * base.pipeline.vae.config.scaling_factor
    first = pipeline(StableDiffusionXLImg2ImgPipeline, base, reference._scheduler(sampler))
    latents = first(
        **BOTH, image=known, strength=strength, num_inference_steps=10, denoising_end=0.8,
        generator=torch.Generator().manual_seed(3), output_type="latent",
    ).images  # fmt: skip
    latents, picture = refined(
        refiner, reference._scheduler(sampler), latents, denoising_start=0.8, num_inference_steps=10
    )
    assert result.applied["steps"] == int(10 * strength)
    reference.assert_same(watcher.after["refiner"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
@pytest.mark.parametrize("name", ["sdxl", "sdxl-inpaint"])
@pytest.mark.parametrize("task", ["txt2img", "img2img", "inpaint"])
def test_the_same_model_twice_gives_what_it_gives_alone(
    host: Host, small: Callable[[str], Any], task: str, name: str, sampler: str
) -> None:
    """Steps of these samplers have no memory, so it does not matter who takes them."""
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).ellipse((13, 9, 50, 43), fill=255)
    inputs = {"txt2img": {}, "img2img": {"image": photo()}, "inpaint": {"image": photo(), "mask": mask}}[task]
    folder, asked = small(name).folder, {"task": task, "inputs": inputs, "batch": 2}
    twice = request(folder, folder, "euler", 0.6, **asked).model_copy(update={"sampler": sampler})
    alone = host.run(twice.model_copy(update={"options": {}}))
    for ours, expected in zip(host.run(twice).artifacts, alone.artifacts, strict=True):
        assert ours.open().tobytes() == expected.open().tobytes()


def test_an_image_of_a_batch_equals_the_single_run_with_its_seed(
    host: Host, small: Callable[[str], Any]
) -> None:
    folders = small("sdxl").folder, small("sdxl-refiner").folder
    batch = host.run(request(*folders, batch=3, seed=7)).artifacts
    for index, artifact in enumerate(batch):
        single = host.run(request(*folders, seed=7 + index)).artifacts[0]
        assert artifact.open().tobytes() == single.open().tobytes()


def test_inpainting_with_a_refiner_leaves_what_is_black_in_the_mask(
    host: Host, small: Callable[[str], Any]
) -> None:
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (16, 16, 40, 48))
    asked = {"task": "inpaint", "inputs": {"image": photo(), "mask": mask}}
    result = host.run(request(small("sdxl").folder, small("sdxl-refiner").folder, **asked))
    changed = np.asarray(result.artifacts[0].open()) != np.asarray(photo())
    assert changed[16:48, 16:40].any()
    assert not changed[np.asarray(mask) == 0].any()


def test_both_models_are_loaded_and_their_steps_counted_together(
    host: Host, small: Callable[[str], Any]
) -> None:
    seen: list[Any] = []
    host.run(request(small("sdxl").folder, small("sdxl-refiner").folder), on_event=seen.append)
    steps = [(event.step, event.steps) for event in seen if isinstance(event, Stepped)]
    assert steps == [(n, 10) for n in range(1, 11)]
    loaded = [event.model for event in seen if isinstance(event, ModelLoaded)]
    assert loaded[-1] == "sdxl-refiner"
    again = Request(task="txt2img", model=str(small("sdxl").folder), prompt=PROMPT, steps=2, seed=1)
    assert host.run(again).applied["model"]["name"] == "sdxl"


@pytest.mark.parametrize(
    "change", [{"scaling_factor": 0.13}, {"latents_mean": [0.0, 0.1, 0.0, 0.0]}], ids=str
)
def test_a_model_of_other_latents_is_refused_at_planning(
    host: Host, small: Callable[[str], Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(small("sdxl-refiner").folder, other)
    config = other / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(UserError, match="the latents of sdxl-refiner models are not those of sdxl"):
        host.plan(request(small("sdxl").folder, other))


def test_what_was_asked_of_parts_that_the_refiner_lacks_is_the_first_models(
    host: Host, small: Callable[[str], Any]
) -> None:
    folders = small("sdxl").folder, small("sdxl-refiner").folder
    plan = host.plan(request(*folders, place={"text_encoder": "cpu", "unet": "cpu"}))
    refiner = plan.further["refiner"]
    assert refiner
    assert refiner.request.place == {"unet": "cpu"}
    assert "text_encoder" not in refiner.placements


def test_a_strength_that_leaves_the_first_model_no_step_is_refused(
    host: Host, small: Callable[[str], Any]
) -> None:
    folders, options = (small("sdxl").folder, small("sdxl-refiner").folder), {"img2img": {"strength": 0.2}}
    with pytest.raises(UserError, match="no step to the first model"):
        host.run(request(*folders, task="img2img", options=options, inputs={"image": photo()}))


def test_guidance_that_the_refiner_cannot_do_is_refused_at_planning(
    host: Host, small: Callable[[str], Any]
) -> None:
    folders, options = (small("sdxl").folder, small("sdxl-refiner").folder), {"guidance_2": 3.0}
    with pytest.raises(UserError, match="guidance_2 needs a model with two text encoders"):
        host.plan(request(*folders, options={"stable-diffusion.denoise": options}))
