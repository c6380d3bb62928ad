"""Image to image gives what diffusers' pipelines give, and reaches any size by three ways."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from latentry import Host, Request
from latentry_sdk import LATENTS

PROMPT = "a red fish"
SCHEDULERS = {"euler": "normal", "ddim": "ddim_uniform"}


@cache
def photo(width: int = 64, height: int = 48) -> Image.Image:
    """A colourful picture."""
    row, column = np.mgrid[:height, :width] * 255 // max(width, height)
    return Image.fromarray(np.stack([row, column, 255 - (row + column) // 2], axis=-1).astype(np.uint8))


def request(folder: Any, sampler: str = "euler", strength: float = 0.7, **asked: Any) -> Request:
    image, mode = asked.pop("image", photo()), asked.pop("resize_mode", "fixed")
    return Request(
        task="img2img",
        model=str(folder),
        prompt=PROMPT,
        sampler=sampler,
        scheduler=SCHEDULERS[sampler],
        inputs={"image": image},
        options={"img2img": {"strength": strength, "resize_mode": mode}},
        **{"steps": 10, "seed": 3, "guidance": 5.0, **asked},
    )


@pytest.mark.parametrize("strength", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_image_to_image_equals_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    strength: float,
) -> None:
    model = small(name)
    result = host.run(request(model.folder, sampler, strength))
    latents, picture = reference(
        model,
        sampler,
        "img2img",
        prompt=PROMPT,
        image=photo(),
        strength=strength,
        num_inference_steps=10,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
    )
    assert result.applied["steps"] == int(10 * strength)
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@pytest.mark.parametrize("name", ["sd-inpaint", "sdxl-inpaint"])
def test_an_inpainting_model_gets_a_full_mask_over_grey(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, name: str
) -> None:
    """So it equals diffusers' inpainting pipeline with everything masked, below strength 1.

    The grey latents are handed over: on a constant picture these VAEs' normalisation makes 1e-7 of rounding,
    which depends on the layout in memory, into 1e-2.
    """
    model = small(name)
    with torch.no_grad():
        grey = model.pipeline.vae.encode(torch.zeros(1, 3, 48, 64)).latent_dist.mode() * 0.3
    result = host.run(request(model.folder, strength=0.7))
    latents, picture = reference(
        model,
        "euler",
        "inpaint",
        prompt=PROMPT,
        image=photo(),
        mask_image=Image.new("L", photo().size, 255),
        masked_image_latents=grey,
        width=64,
        height=48,
        strength=0.7,
        num_inference_steps=10,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
    )
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


def test_an_image_of_a_batch_equals_the_single_run_with_its_seed(
    host: Host, small: Callable[[str], Any]
) -> None:
    folder = small("sdxl").folder
    batch = host.run(request(folder, batch=3, seed=7)).artifacts
    for index, artifact in enumerate(batch):
        single = host.run(request(folder, seed=7 + index)).artifacts[0]
        assert artifact.open().tobytes() == single.open().tobytes()


@pytest.mark.parametrize("size", [(1, 1), (65, 63), (33, 47)], ids=str)
def test_a_picture_keeps_its_own_size(host: Host, small: Callable[[str], Any], size: tuple[int, int]) -> None:
    result = host.run(request(small("sd").folder, image=photo(*size)))
    assert result.artifacts[0].open().size == size
    assert result.applied["size"] == list(size)


@pytest.mark.parametrize("mode", ["fixed", "crop", "fill"])
def test_the_size_asked_for_is_given_by_every_mode(
    host: Host, small: Callable[[str], Any], mode: str
) -> None:
    asked = request(small("sd").folder, width=40, height=72, resize_mode=mode)
    assert host.run(asked).artifacts[0].open().size == (40, 72)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_schedule_in_the_prompt_is_laid_over_the_steps_that_run(
    host: Host, small: Callable[[str], Any], watcher: Any, task: str
) -> None:
    """Of 10 steps 5 run, so 0.6 is after the third."""
    inputs = {"image": photo(), **({"mask": Image.new("L", photo().size, 255)} if task == "inpaint" else {})}
    found = []
    for when in ("0.6", "3", "4"):
        asked = request(small("sd").folder, strength=0.5).model_dump() | {"task": task, "inputs": inputs}
        asked |= {"prompt": f"[{PROMPT}:a cat:{when}]", "options": {task: {"strength": 0.5}}}
        host.run(Request(**asked))
        found.append(watcher.after["sample"][LATENTS])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
