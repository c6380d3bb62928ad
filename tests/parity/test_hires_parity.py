"""hires equals two runs by hand: ours by way of the pixels, those of diffusers by way of the latents."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from latentry import Host, Request
from latentry_sdk import LATENTS, Stepped

PROMPT = "a red fish"
SCHEDULERS = {"euler": "normal", "ddim": "ddim_uniform"}
WIDTH, HEIGHT, STRENGTH = 64, 48, 0.6
MODES: dict[str, dict[str, Any]] = {
    "latent": {"mode": "bilinear"},
    "latent_antialiased": {"mode": "bilinear", "antialias": True},
    "latent_bicubic": {"mode": "bicubic"},
    "latent_bicubic_antialiased": {"mode": "bicubic", "antialias": True},
    "latent_nearest": {"mode": "nearest"},
    "latent_nearest_exact": {"mode": "nearest-exact"},
}
SAMPLING = {"sampler": "euler", "scheduler": "karras", "steps": 6, "seed": 3, "guidance": 4.0}


def request(folder: Any, hires: dict[str, Any], **asked: Any) -> Request:
    fields = {"task": "hires", "prompt": PROMPT, "width": WIDTH, "height": HEIGHT, **SAMPLING, **asked}
    return Request(model=str(folder), options={"hires": {"strength": STRENGTH, **hires}}, **fields)


def by_hand(host: Host, folder: Any, second: dict[str, Any], **asked: Any) -> Any:
    """Text to image, then image to image of its picture at 96 × 72."""
    fields = {"model": str(folder), "prompt": PROMPT, **SAMPLING, **asked}
    first = host.run(Request(task="txt2img", width=WIDTH, height=HEIGHT, **fields)).artifacts[0]
    inputs, options = {"image": first.open()}, {"img2img": {"strength": STRENGTH}}
    fields |= {"width": 96, "height": 72, "inputs": inputs, "options": options, **second}
    return host.run(Request(task="img2img", **fields)).artifacts[0].open()


@pytest.mark.parametrize(
    "second",
    [{}, {"steps": 9}, {"sampler": "dpmpp_sde", "scheduler": "normal"}, {"prompt": "fog", "guidance": 1.0}],
    ids=str,
)
@pytest.mark.parametrize("name", ["sd", "sdxl", "sdxl-inpaint"])
def test_by_way_of_the_pixels_it_is_text_to_image_and_then_image_to_image(
    host: Host, small: Callable[[str], Any], name: str, second: dict[str, Any]
) -> None:
    folder = small(name).folder
    ours = host.run(request(folder, {"scale": 1.5, "upscaler": "lanczos", **second})).artifacts[0].open()
    assert ours.size == (96, 72)
    assert np.array_equal(np.asarray(ours), np.asarray(by_hand(host, folder, second)))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_refiner_takes_the_last_steps_of_the_second_pass(
    host: Host, small: Callable[[str], Any], batch: int
) -> None:
    folder, other = small("sdxl").folder, str(small("sdxl-refiner").folder)
    refiner = {"refiner": {"refiner": other, "switch_at": 0.6}}
    hires = {"hires": {"scale": 1.5, "upscaler": "lanczos", "strength": 0.8}}
    asked = request(folder, {}, batch=batch).model_copy(update={"options": {**hires, **refiner}})
    steps: list[Any] = []
    result = host.run(asked, on_event=lambda event: steps.append(event))
    options = {"img2img": {"strength": 0.8}, **refiner}
    for index, artifact in enumerate(result.artifacts):
        wanted = by_hand(host, folder, {"options": options}, seed=3 + index)
        assert np.array_equal(np.asarray(artifact.open()), np.asarray(wanted))
    told = result.applied["hires"]
    assert told["refiner"]["model"] == small("sdxl-refiner").folder.name
    assert 0 < told["refiner"]["steps"] < told["steps"] == 4
    counted = [(event.step, event.steps) for event in steps if isinstance(event, Stepped)]
    assert counted == [(step, 10) for step in range(1, 11)]


@pytest.mark.parametrize("upscaler", MODES)
@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_by_way_of_the_latents_it_equals_two_pipelines_of_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    sampler: str,
    upscaler: str,
) -> None:
    model = small(name)
    asked = {"sampler": sampler, "scheduler": SCHEDULERS[sampler], "steps": 10, "guidance": 5.0}
    result = host.run(request(model.folder, {"scale": 1.5, "upscaler": upscaler}, **asked))
    both = {"prompt": PROMPT, "num_inference_steps": 10, "guidance_scale": 5.0}
    noise = torch.randn((1, 4, HEIGHT // 4, WIDTH // 4), generator=torch.Generator().manual_seed(3))
    first, _ = reference(model, sampler, "txt2img", width=WIDTH, height=HEIGHT, latents=noise, **both)
    latents, picture = reference(
        model,
        sampler,
        "img2img",
        image=interpolate(first, size=(18, 24), **MODES[upscaler]),
        strength=STRENGTH,
        generator=torch.Generator().manual_seed(3),
        **both,
    )
    assert result.applied["hires"]["steps"] == 6
    reference.assert_same(watcher.after["sample"][LATENTS], latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1


@pytest.mark.parametrize("upscaler", ["latent_antialiased", "latent_bicubic", "latent_nearest", "lanczos"])
@pytest.mark.parametrize("second", ["euler", "euler_ancestral", "dpmpp_2m_sde"])
def test_an_image_of_a_batch_equals_the_single_run_with_its_seed(
    host: Host, small: Callable[[str], Any], upscaler: str, second: str
) -> None:
    folder, hires = small("sdxl").folder, {"upscaler": upscaler, "sampler": second, "steps": 4}
    asked = {"sampler": "euler_ancestral", "steps": 4}
    batch = host.run(request(folder, hires, **asked, seed=7, batch=3)).artifacts
    for index, artifact in enumerate(batch):
        single = host.run(request(folder, hires, **asked, seed=7 + index)).artifacts[0]
        assert artifact.open().tobytes() == single.open().tobytes()
