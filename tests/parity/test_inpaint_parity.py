"""Inpainting gives what diffusers' SDXL pipeline gives, at every strength and cropped to the mask."""

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
SIZE = (96, 80)

every_model = pytest.mark.parametrize("name", ["sdxl", "sdxl-inpaint"])
every_sampler = pytest.mark.parametrize("sampler", SCHEDULERS)
every_strength = pytest.mark.parametrize("strength", [1.0, 0.9999, 0.7, 0.3])


@cache
def photo() -> Image.Image:
    """A colourful picture."""
    width, height = SIZE
    row, column = np.mgrid[:height, :width] * 255 // width
    return Image.fromarray(np.stack([row, column, 255 - (row + column) // 2], axis=-1).astype(np.uint8))


def mask(*box: int, grey: int = 255) -> Image.Image:
    """A rectangle."""
    mask = Image.new("L", SIZE)
    mask.paste(grey, box)
    return mask


def ours(host: Host, model: Any, sampler: str, where: Image.Image, **options: Any) -> Any:
    size = {"width": 64, "height": 64} if options.get("full_res") else {}
    return host.run(
        Request(
            task="inpaint",
            model=str(model.folder),
            prompt=PROMPT,
            sampler=sampler,
            scheduler=SCHEDULERS[sampler],
            steps=10,
            seed=3,
            guidance=5,
            inputs={"image": photo(), "mask": where},
            options={"inpaint": options},
            **size,
        )
    )


def theirs(reference: Any, model: Any, sampler: str, where: Image.Image, **asked: Any) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(3)
    asked = {"width": SIZE[0], "height": SIZE[1], "num_inference_steps": 10, "guidance_scale": 5.0, **asked}
    return reference(
        model,
        sampler,
        "inpaint",
        prompt=PROMPT,
        image=photo(),
        mask_image=where,
        generator=generator,
        **asked,
    )  # type: ignore[no-any-return]


@every_model
@every_sampler
@every_strength
def test_every_strength_equals_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    strength: float,
) -> None:
    model, where = small(name), mask(21, 18, 75, 50)
    result = ours(host, model, sampler, where, strength=strength)
    latents, picture = theirs(reference, model, sampler, where, strength=strength)
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert result.applied["steps"] == int(10 * strength)
    assert reference.furthest(watcher.decoded[0], picture) <= 1


@every_model
@every_sampler
@every_strength
def test_the_crop_to_the_mask_equals_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    strength: float,
) -> None:
    """Where both define the same: a crop of the aspect asked for, and a mask that scales exactly.

    Elsewhere they differ in these: diffusers shrinks a mask by Lanczos' filter and makes it hard, it rounds a
    crop of another aspect down and pads it on both sides, and it fails on an empty mask.
    """
    model, where = small(name), mask(40, 30, 56, 46)
    result = ours(host, model, sampler, where, strength=strength, full_res=True, padding=8)
    latents, picture = theirs(
        reference, model, sampler, where, strength=strength, padding_mask_crop=8, width=64, height=64
    )
    assert result.applied["frame"] == [32, 22, 64, 54]
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@every_model
def test_a_binarised_mask_equals_diffusers_which_has_no_other(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, name: str
) -> None:
    model, where = small(name), mask(21, 18, 75, 50, grey=140)
    where.paste(100, (0, 0, 20, 20))
    ours(host, model, "euler", where, strength=0.7, binarise=True)
    latents, _ = theirs(reference, model, "euler", where, strength=0.7)
    reference.assert_same(watcher.after["sample"][LATENTS], latents)


@every_model
def test_an_empty_mask_with_a_crop_gives_the_input(
    host: Host, small: Callable[[str], Any], name: str
) -> None:
    result = ours(host, small(name), "euler", Image.new("L", SIZE), full_res=True)
    assert any("mask is empty" in warning for warning in result.warnings)
    assert result.artifacts[0].open().tobytes() == photo().tobytes()
