"""CFG++ on the whole way: what it costs, what it does without guidance, in batches, and in inpainting."""

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image, ImageDraw

from latentry import Host, Request, UserError
from latentry_sdk import DENOISE, KNOWN, LATENTS, MASK_LATENTS, NOISE, SIGMAS, UNGUIDED

PIXELS, STEPS = 64, 6
PLAIN = ("euler", "dpmpp_2m", "res_multistep", "gradient_estimation", "euler_ancestral", "dpmpp_2s_ancestral")

each_sampler = pytest.mark.parametrize("sampler", PLAIN)


def request(folder: Any, sampler: str, *, task: str = "txt2img", **asked: Any) -> Request:
    fields = {"steps": STEPS, "guidance": 1.7, "seed": 3, "negative": "a cat", **asked}
    if task == "txt2img":
        fields |= {"width": PIXELS, "height": PIXELS}
    return Request(task=task, model=str(folder), prompt="a red fish", sampler=sampler, **fields)


def photo() -> Image.Image:
    row, column = np.mgrid[:PIXELS, :PIXELS] * 255 // (PIXELS - 1)
    return Image.fromarray(np.stack([row, column, 255 - row], axis=-1).astype(np.uint8))


def mask() -> Image.Image:
    mask = Image.new("L", (PIXELS, PIXELS))
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=255)
    return mask


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the UNet gets, call by call."""
    counts: list[int] = []
    forward = UNet2DConditionModel.forward

    def counted(unet: Any, sample: Any, *more: Any, **named: Any) -> Any:
        counts.append(len(sample))
        return forward(unet, sample, *more, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", counted)
    return counts


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_euler_is_the_papers_algorithm_on_the_pipelines_unet(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, name: str
) -> None:
    """x = sqrt(a) x0 + sqrt(1 - a) eps; the clean picture has guidance, the noise has none."""
    model = small(name)
    host.run(request(model.folder, "euler_cfg_pp", scheduler="ddim_uniform"))
    pipeline, levels = model.pipeline, watcher.after["sample"][SIGMAS]
    found = pipeline.encode_prompt(
        prompt="a red fish",
        negative_prompt="a cat",
        device="cpu",
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
    )
    size = torch.tensor([[PIXELS, PIXELS, 0, 0, PIXELS, PIXELS]], dtype=torch.float32)
    added = [{"text_embeds": pooled, "time_ids": size} for pooled in found[2:]] or [None, None]
    kept = pipeline.scheduler.alphas_cumprod
    x = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(3))
    for now, nxt in pairwise(levels):
        a, below = 1 / (1 + now**2), 1 / (1 + nxt**2)
        timestep = int((kept - a).abs().argmin())
        with torch.no_grad():
            cond, free = (
                pipeline.unet(x, timestep, text, added_cond_kwargs=more).sample
                for text, more in zip(found[:2], added, strict=True)
            )
        clean = (x - sqrt(1 - a) * (free + 1.7 * (cond - free))) / sqrt(a)
        x = sqrt(below) * clean + sqrt(1 - below) * free
    reference.assert_same(watcher.after["sample"][LATENTS], x)


@each_sampler
def test_a_step_costs_what_it_costs_without_cfg_pp(
    host: Host, small: Callable[[str], Any], watcher: Any, rows: list[int], sampler: str
) -> None:
    folder = small("sd").folder
    host.run(request(folder, f"{sampler}_cfg_pp"))
    guided, ours = watcher.after["sample"][LATENTS], rows.copy()
    host.run(request(folder, sampler))
    assert ours == rows[len(ours) :]
    assert set(ours) == {2}
    assert guided.isfinite().all()
    assert not torch.allclose(guided, watcher.after["sample"][LATENTS], rtol=1e-2, atol=1e-2)


@each_sampler
def test_without_guidance_it_is_the_plain_sampler(
    host: Host, small: Callable[[str], Any], watcher: Any, rows: list[int], sampler: str
) -> None:
    folder, found = small("sdxl").folder, []
    for name in (sampler, f"{sampler}_cfg_pp"):
        host.run(request(folder, name, guidance=1.0))
        found.append(watcher.after["sample"][LATENTS])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)
    assert set(rows) == {1}


@each_sampler
def test_an_image_of_a_batch_equals_the_single_run_with_its_seed(
    host: Host, small: Callable[[str], Any], watcher: Any, sampler: str
) -> None:
    folder = small("sd").folder
    host.run(request(folder, f"{sampler}_cfg_pp", batch=3))
    batch = watcher.after["sample"][LATENTS]
    for index in range(3):
        host.run(request(folder, f"{sampler}_cfg_pp", seed=3 + index))
        assert batch[index : index + 1].equal(watcher.after["sample"][LATENTS])


@pytest.mark.parametrize("options", [{}, {"strength": 0.7}, {"differential": True}], ids=str)
@pytest.mark.parametrize("name", ["sd", "sd-inpaint"])
@each_sampler
def test_inpainting_leaves_every_pixel_outside_the_mask(
    host: Host, small: Callable[[str], Any], *, name: str, sampler: str, options: dict[str, Any]
) -> None:
    asked = {"inputs": {"image": photo(), "mask": mask()}, "options": {"inpaint": options}}
    result = host.run(request(small(name).folder, f"{sampler}_cfg_pp", task="inpaint", **asked))
    before, after = (np.asarray(image) for image in (photo(), result.artifacts[0].open()))
    outside = np.asarray(mask()) == 0
    assert (before[outside] == after[outside]).all()
    assert (before[~outside] != after[~outside]).any()


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_inpainting_equals_putting_back_what_is_known_after_each_step(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, strength: float
) -> None:
    """As diffusers inpaints with a model that takes no mask, with the step of CFG++."""
    asked = {"inputs": {"image": photo(), "mask": mask()}, "options": {"inpaint": {"strength": strength}}}
    host.run(request(small("sd").folder, "euler_cfg_pp", task="inpaint", **asked))
    before = watcher.after["stable-diffusion.denoise"]
    begun, state = watcher.after["inpaint.start"], watcher.after["sample"]
    holes, known, noise = state[MASK_LATENTS], state[KNOWN], state[NOISE].initial()
    x = begun[LATENTS]
    for now, nxt in pairwise(state[SIGMAS]):
        with torch.no_grad():
            clean, free = before[DENOISE](x, now), before[UNGUIDED](x, now)
        x = clean + nxt * (x - free) / now
        x = holes * x + (1 - holes) * (known + nxt * noise)
    reference.assert_same(state[LATENTS], x)


def test_image_to_image_starts_from_the_picture(host: Host, small: Callable[[str], Any]) -> None:
    pictures = []
    for strength in (0.4, 0.9):
        asked = {"inputs": {"image": photo()}, "options": {"img2img": {"strength": strength}}}
        result = host.run(request(small("sd").folder, "dpmpp_2m_cfg_pp", task="img2img", **asked))
        pictures.append(result.artifacts[0].open().tobytes())
        assert result.applied["steps"] == int(STEPS * strength)
    assert pictures[0] != pictures[1]


def test_where_guidance_ends_the_plain_sampler_goes_on(
    host: Host, small: Callable[[str], Any], rows: list[int]
) -> None:
    options = {"guidance_end": {"guidance_end": 0.5}}
    result = host.run(request(small("sd").folder, "euler_cfg_pp", options=options))
    assert rows == [2] * (STEPS // 2) + [1] * (STEPS // 2)
    assert result.applied["guided_steps"] == [1, 2, 3]


def test_a_model_without_guidance_of_that_kind_is_refused_at_planning() -> None:
    with Host() as host, pytest.raises(UserError, match="'euler_cfg_pp' does not fit toy models"):
        host.plan(Request(task="toy", prompt="a cross", sampler="euler_cfg_pp"))
