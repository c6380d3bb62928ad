"""FreeU, against the pipelines of diffusers with `enable_freeu`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch

import latentry_cpu
import latentry_freeu
import latentry_images
import latentry_openvino
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Host, LatentryError, Request
from latentry_sdk import LATENTS

PLUGINS = (
    latentry_cpu,
    latentry_freeu,
    latentry_images,
    latentry_openvino,
    latentry_samplers,
    latentry_schedules,
    latentry_stable_diffusion,
    latentry_txt2img,
)
ASKED: Mapping[str, Any] = {"prompt": "a red fish", "width": 64, "height": 64}
STEPS, SCALE = 6, 5.0
FACTORS = {"s1": 0.9, "s2": 0.2, "b1": 1.5, "b2": 1.6}
OPTIONS = {f"freeu_{name}": value for name, value in FACTORS.items()}


@pytest.fixture(scope="module")
def host(watcher: Any) -> Iterator[Host]:
    with contextlib.closing(Host(plugins=[*PLUGINS, watcher])) as host:
        assert {record.status for record in host.records} == {"active"}, host.records
        yield host


def request(folder: object, options: Mapping[str, float], sampler: str = "ddim", **asked: Any) -> Request:
    scheduler = {"euler": "normal", "ddim": "ddim_uniform"}[sampler]
    fields = {**ASKED, "steps": STEPS, "guidance": SCALE, "seed": 3, **asked}
    return Request(
        task="txt2img",
        model=str(folder),
        sampler=sampler,
        scheduler=scheduler,
        options={"freeu": options},
        **fields,
    )


@pytest.mark.parametrize("name", ["sd", "sdxl"])
@pytest.mark.parametrize("sampler", ["euler", "ddim"])
def test_pictures_equal_those_of_diffusers_with_freeu(
    host: Host, small: Callable[[str], Any], watcher: Any, reference: Any, *, name: str, sampler: str
) -> None:
    model = small(name)
    host.run(request(model.folder, {}, sampler))
    plain = watcher.after["sample"][LATENTS]
    result = host.run(request(model.folder, OPTIONS, sampler))
    ours = watcher.after["sample"][LATENTS]
    noise = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(3))
    model.pipeline.enable_freeu(**FACTORS)
    try:
        latents, picture = reference(
            model, sampler, "txt2img", **ASKED, num_inference_steps=STEPS, guidance_scale=SCALE, latents=noise
        )
    finally:
        model.pipeline.disable_freeu()
    reference.assert_same(ours, latents)
    assert reference.furthest(result.artifacts[0].open(), picture) <= 1
    assert float((ours - plain).abs().max()) > 1e-2 * float(plain.std())
    assert result.applied["freeu"] == FACTORS


def test_the_job_after_it_is_as_the_one_before_it(
    host: Host, small: Callable[[str], Any], watcher: Any
) -> None:
    folder, found = small("sd").folder, []
    for options in ({}, OPTIONS, {"freeu_b1": 1.2}, {}, dict.fromkeys(OPTIONS, 1.0)):
        result = host.run(request(folder, options))
        found.append(watcher.after["sample"][LATENTS])
    assert "freeu" not in result.applied
    assert found[0].equal(found[3])
    assert found[0].equal(found[4])
    assert not found[0].equal(found[1])
    assert not found[1].equal(found[2])


def test_a_device_that_converts_is_refused_in_one_line(host: Host, small: Callable[[str], Any]) -> None:
    with pytest.raises(LatentryError, match="'openvino' cannot change unet for one job"):
        host.run(request(small("sd").folder, OPTIONS, place={"unet": "openvino"}))
