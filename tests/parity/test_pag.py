"""Perturbed-attention guidance, against the pipelines of diffusers that have it."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPAGPipeline, StableDiffusionXLPAGPipeline
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

import latentry_cpu
import latentry_guidance_end
import latentry_guidance_rescale
import latentry_hires
import latentry_images
import latentry_img2img
import latentry_openvino
import latentry_pag
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Host, LatentryError, Request
from latentry_sdk import LATENTS, PLACED, StageSpec, State, UnknownName, hookimpl

PLUGINS = (
    latentry_cpu,
    latentry_guidance_end,
    latentry_guidance_rescale,
    latentry_hires,
    latentry_images,
    latentry_img2img,
    latentry_openvino,
    latentry_pag,
    latentry_samplers,
    latentry_schedules,
    latentry_stable_diffusion,
    latentry_txt2img,
)
ASKED: Mapping[str, Any] = {"prompt": "a red fish", "width": 64, "height": 64}
STEPS = 6
LAYERS = {
    ("mid",): ["mid"],
    ("down.block_1",): ["down_blocks.1"],
    ("up.block_0.attentions_1", "mid"): ["up_blocks.0.attentions.1", "mid"],
}
"""Layers by the names they have here, and in the pipelines of diffusers."""

both_models = pytest.mark.parametrize("name", ["sd", "sdxl"])


class Breaker:
    """A plugin that can stop jobs before they sample."""

    on = False

    @hookimpl(wrapper=True)
    def run_stage(self, stage: StageSpec, state: State) -> Generator[None, State, State]:
        """Raise after the denoiser was made."""
        after = yield
        if self.on and stage.name.endswith(".denoise"):
            raise RuntimeError("stopped")
        return after


@pytest.fixture(scope="module")
def breaker() -> Breaker:
    return Breaker()


@pytest.fixture(scope="module")
def host(watcher: Any, breaker: Breaker) -> Iterator[Host]:
    with contextlib.closing(Host(plugins=[*PLUGINS, watcher, breaker])) as host:
        assert {record.status for record in host.records} == {"active"}, host.records
        yield host


def request(folder: object, pag: Mapping[str, Any], **asked: Any) -> Request:
    options = {"pag": pag, **asked.pop("options", {})}
    fields = {"steps": STEPS, "guidance": 5.0, "seed": 3, "sampler": "ddim", "scheduler": "ddim_uniform"}
    fields = {"task": "txt2img", **fields, **asked}
    return Request(model=str(folder), options=options, **{**ASKED, **fields})


def by_diffusers(model: Any, layers: Sequence[str], **asked: Any) -> tuple[Any, Any]:
    """Latents and picture of diffusers' pipeline with perturbed-attention guidance."""
    kind = (
        StableDiffusionXLPAGPipeline
        if hasattr(model.pipeline, "text_encoder_2")
        else StableDiffusionPAGPipeline
    )
    config = model.pipeline.scheduler.config
    scheduler = DDIMScheduler.from_config(config, timestep_spacing="leading", set_alpha_to_one=True)
    pipeline = kind(**{**model.parts, "scheduler": scheduler}, pag_applied_layers=list(layers))
    pipeline.set_progress_bar_config(disable=True)
    kept = {}

    def keep(_pipeline: Any, _step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        kept.update(values)
        return values

    noise = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(3))
    fields = {**ASKED, "num_inference_steps": STEPS, "latents": noise, "callback_on_step_end": keep, **asked}
    picture = pipeline(**fields).images[0]
    return kept["latents"], picture


def processors(watcher: Any) -> list[Any]:
    module = watcher.after["load"][PLACED]["unet"].module
    return [part.processor for part in module.modules() if isinstance(part, Attention)]


@both_models
@pytest.mark.parametrize("guidance", [5.0, 1.0])
@pytest.mark.parametrize("layers", LAYERS, ids="+".join)
def test_pictures_equal_those_of_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    guidance: float,
    layers: tuple[str, ...],
) -> None:
    model = small(name)
    host.run(request(model.folder, {}, guidance=guidance))
    plain = watcher.after["sample"][LATENTS]
    result = host.run(request(model.folder, {"pag_scale": 3, "pag_layers": layers}, guidance=guidance))
    ours = watcher.after["sample"][LATENTS]
    latents, picture = by_diffusers(model, LAYERS[layers], guidance_scale=guidance, pag_scale=3.0)
    reference.assert_same(ours, latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1
    assert float((ours - plain).abs().max()) > 1e-2 * float(plain.std())


@both_models
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({"pag": {"pag_scale": 3, "pag_adaptive": 0.005}}, {"pag_adaptive_scale": 0.005}),
        ({"pag": {"pag_scale": 3}, "guidance_rescale": {"guidance_rescale": 0.7}}, {"guidance_rescale": 0.7}),
    ],
    ids=["adaptive", "rescaled"],
)
def test_its_companions_are_as_in_diffusers(
    host: Host,
    small: Callable[[str], Any],
    watcher: Any,
    reference: Any,
    *,
    name: str,
    options: Any,
    theirs: Any,
) -> None:
    model = small(name)
    host.run(request(model.folder, {}, options=options))
    ours = watcher.after["sample"][LATENTS]
    latents, _ = by_diffusers(model, ["mid"], guidance_scale=5.0, pag_scale=3.0, **theirs)
    reference.assert_same(ours, latents)
    host.run(request(model.folder, {"pag_scale": 3}))
    assert float((ours - watcher.after["sample"][LATENTS]).abs().max()) > 1e-2 * float(ours.std())


@both_models
def test_an_image_of_a_batch_equals_the_single_run_where_guidance_ends(
    host: Host, small: Callable[[str], Any], watcher: Any, name: str
) -> None:
    pag, ends = {"pag_scale": 3, "pag_layers": ["mid", "down"]}, {"guidance_end": {"guidance_end": 0.5}}
    together = {"stable-diffusion.denoise": {"at_once": 3}, **ends}
    host.run(request(small(name).folder, pag, options=ends, batch=3))
    batch = watcher.after["sample"][LATENTS]
    for index in range(3):
        host.run(request(small(name).folder, pag, options=ends, seed=3 + index))
        assert batch[index : index + 1].equal(watcher.after["sample"][LATENTS])
    host.run(request(small(name).folder, pag, options=together, batch=3))
    assert float((watcher.after["sample"][LATENTS] - batch).abs().max()) <= 1e-4 * float(batch.std())


def test_the_job_after_it_is_as_the_one_before_it(
    host: Host, small: Callable[[str], Any], watcher: Any, breaker: Breaker
) -> None:
    folder, found = small("sd").folder, []
    for pag in ({}, {"pag_scale": 3}, {}, {"pag_scale": 0, "pag_layers": "up", "pag_adaptive": 1}):
        host.run(request(folder, pag))
        assert {type(processor) for processor in processors(watcher)} == {AttnProcessor2_0}
        found.append(watcher.after["sample"][LATENTS])
    breaker.on = True
    with pytest.raises(LatentryError, match="stopped"):
        host.run(request(folder, {"pag_scale": 3}))
    breaker.on = False
    assert {type(processor) for processor in processors(watcher)} == {AttnProcessor2_0}
    assert found[0].equal(found[2])
    assert found[0].equal(found[3])
    assert not found[0].equal(found[1])


def test_both_passes_of_hires_are_guided_and_undone(
    host: Host, small: Callable[[str], Any], watcher: Any
) -> None:
    folder, found = small("sd").folder, []
    for pag in ({}, {"pag_scale": 3}, {}):
        result = host.run(request(folder, pag, task="hires"))
        assert {type(processor) for processor in processors(watcher)} == {AttnProcessor2_0}
        assert ("pag" in result.applied) == ("pag" in result.applied["hires"]) == bool(pag)
        found.append(watcher.after["sample"][LATENTS])
    assert found[0].equal(found[2])
    assert not found[0].equal(found[1])


def test_an_unknown_layer_and_a_device_that_converts_are_refused(
    host: Host, small: Callable[[str], Any]
) -> None:
    folder = small("sd").folder
    with pytest.raises(UnknownName, match=r"'down\.block_0'; known: down, down\.block_1, .*mid"):
        host.run(request(folder, {"pag_scale": 3, "pag_layers": "down.block_0"}))
    with pytest.raises(LatentryError, match="'openvino' cannot change unet for one job"):
        host.run(request(folder, {"pag_scale": 3}, place={"unet": "openvino"}))
