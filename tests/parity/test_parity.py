"""The same weights and noise give the picture that diffusers' pipelines give."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from latentry import Host, Request
from latentry_sdk import LATENTS

PIXELS = 64
PROMPT = "a red fish"
ASKED = {"prompt": PROMPT, "width": PIXELS, "height": PIXELS}
SCHEDULERS = {"euler": "normal", "ddim": "ddim_uniform"}
SAMPLERS = tuple(SCHEDULERS)

every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)
every_guidance = pytest.mark.parametrize("guidance", [1.0, 5.0], ids=["plain", "guided"])
every_strength = pytest.mark.parametrize("strength", [1.0, 0.5])
every_inpainting_model = pytest.mark.parametrize("name", ["sd", "sdxl", "sd-inpaint", "sdxl-inpaint"])


def noise(seed: int) -> Any:
    side = PIXELS // 4
    return torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(seed))


@cache
def photo() -> Image.Image:
    """A colourful picture."""
    row, column = np.mgrid[:PIXELS, :PIXELS] * 255 // (PIXELS - 1)
    return Image.fromarray(np.stack([row, column, 255 - (row + column) // 2], axis=-1).astype(np.uint8))


@cache
def mask() -> Image.Image:
    """A hard mask whose border does not follow the latents' grid."""
    mask = Image.new("L", (PIXELS, PIXELS))
    ImageDraw.Draw(mask).ellipse((13, 9, 50, 43), fill=255)
    return mask


def text_request(folder: Any, sampler: str, **asked: Any) -> Request:
    return Request(
        task="txt2img",
        model=str(folder),
        prompt=PROMPT,
        sampler=sampler,
        scheduler=SCHEDULERS[sampler],
        **{"steps": 10, "width": PIXELS, "height": PIXELS, "seed": 3, **asked},
    )


def inpaint_request(folder: Any, sampler: str, strength: float, **asked: Any) -> Request:
    return Request(
        task="inpaint",
        model=str(folder),
        prompt=PROMPT,
        sampler=sampler,
        scheduler=SCHEDULERS[sampler],
        inputs={"image": photo(), "mask": mask()},
        options={"inpaint": {"strength": strength}},
        **{"steps": 10, "seed": 3, **asked},
    )


@every_sampler
@every_guidance
@pytest.mark.parametrize("name", ["sd", "sdxl"])
@pytest.mark.parametrize("steps", [4, 10])
def test_text_to_image_equals_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    guidance: float,
    steps: int,
) -> None:
    model = small(name)
    result = host.run(text_request(model.folder, sampler, guidance=guidance, steps=steps))
    latents, picture = reference(
        model,
        sampler,
        "txt2img",
        **ASKED,
        num_inference_steps=steps,
        guidance_scale=guidance,
        latents=noise(3),
    )
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@every_sampler
@every_guidance
@every_strength
@every_inpainting_model
def test_inpainting_equals_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    guidance: float,
    strength: float,
) -> None:
    model = small(name)
    result = host.run(inpaint_request(model.folder, sampler, strength, guidance=guidance))
    latents, picture = reference(
        model,
        sampler,
        "inpaint",
        **ASKED,
        image=photo(),
        mask_image=mask(),
        strength=strength,
        num_inference_steps=10,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(3),
    )
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(watcher.decoded[0], picture) <= 1
    laid_over = Image.composite(picture, photo(), mask())  # which diffusers does not do
    assert reference.furthest(result.artifacts[0].open(), laid_over) <= 1


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_negative_prompt_equals_diffusers(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, name: str
) -> None:
    model = small(name)
    host.run(text_request(model.folder, "ddim", guidance=5.0, negative="a cat"))
    latents, _ = reference(
        model,
        "ddim",
        "txt2img",
        **ASKED,
        num_inference_steps=10,
        guidance_scale=5.0,
        negative_prompt="a cat",
        latents=noise(3),
    )
    reference.assert_same(watcher.after["sample"][LATENTS], latents)


def test_the_comparison_notices_another_seed_prompt_guidance_or_level(
    host: Host, small: Callable[[str], Any], watcher: Any
) -> None:
    folder = small("sdxl").folder
    host.run(text_request(folder, "euler"))
    first = watcher.after["sample"][LATENTS]
    for change in (
        {"seed": 4},
        {"guidance": 5.1},
        {"negative": "x"},
        {"scheduler": "karras"},
        {"height": 60},
    ):
        request = text_request(folder, "euler").model_copy(update=change)
        host.run(request)
        other = watcher.after["sample"][LATENTS]
        assert other.shape != first.shape or float((other - first).abs().max()) > 1e-3 * float(first.std())


@every_guidance
@pytest.mark.parametrize("task", ["txt2img", "inpaint"])
@pytest.mark.parametrize("name", ["sd", "sdxl-inpaint"])
def test_an_image_of_a_batch_equals_the_single_run_with_its_seed(
    host: Host, small: Callable[[str], Any], watcher: Any, *, name: str, task: str, guidance: float
) -> None:
    """To the last bit: see `Denoiser`."""
    folder = small(name).folder
    make = text_request if task == "txt2img" else partial(inpaint_request, strength=0.5)
    batch = host.run(make(folder, "euler", guidance=guidance, batch=4, seed=11))
    together = watcher.after["sample"][LATENTS]
    assert [artifact.seed for artifact in batch.artifacts] == [11, 12, 13, 14]
    for i, artifact in enumerate(batch.artifacts):
        single = host.run(make(folder, "euler", guidance=guidance, seed=11 + i))
        assert torch.equal(together[i : i + 1], watcher.after["sample"][LATENTS])
        assert artifact.open().tobytes() == single.artifacts[0].open().tobytes()


@every_guidance
def test_a_batch_given_to_the_unet_together_equals_the_single_runs_up_to_rounding(
    host: Host, small: Callable[[str], Any], watcher: Any, *, guidance: float
) -> None:
    folder = small("sdxl").folder
    alone = text_request(folder, "euler", guidance=guidance, batch=4)
    together = alone.model_copy(update={"options": {"stable-diffusion.denoise": {"at_once": 4}}})
    found = []
    for request in (alone, together):
        host.run(request)
        found.append(watcher.after["sample"][LATENTS])
    furthest_apart = float((found[0] - found[1]).abs().max())
    assert 0 < furthest_apart <= 1e-5 * guidance * float(found[0].std())
