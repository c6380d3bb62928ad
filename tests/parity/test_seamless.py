"""Pictures that tile: their seams are as smooth as their insides, and they roll with their noise."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import latentry_cpu
import latentry_emoji
import latentry_images
import latentry_img2img
import latentry_openvino
import latentry_samplers
import latentry_schedules
import latentry_seamless
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Host, LatentryError, Request
from latentry_sdk import LATENTS, PLACED, StageSpec, State, hookimpl

PLUGINS = (
    latentry_cpu,
    latentry_emoji,
    latentry_images,
    latentry_img2img,
    latentry_openvino,
    latentry_samplers,
    latentry_schedules,
    latentry_seamless,
    latentry_stable_diffusion,
    latentry_txt2img,
)
FACTOR = 4
SHIFTS = {"x": (0, 6), "y": (2, 0), "both": (2, 6)}
"""Latents by which noise is rolled, down and right: multiples of what the UNet takes together."""
ROLLED = {"x": ("x",), "y": ("y",), "both": ("x", "y")}


class Changes:
    """A plugin that rolls or evens the latents that sampling starts from, and stops jobs after a stage."""

    def __init__(self) -> None:
        self.shifts = (0, 0)
        self.even = False
        self.breaks: str | None = None

    @hookimpl(wrapper=True)
    def run_stage(self, stage: StageSpec, state: State) -> Generator[None, State, State]:
        """Change latents after `txt2img.start`; raise after the stage that breaks."""
        after = yield
        if stage.name == self.breaks:
            raise RuntimeError("stopped")
        if stage.name == "txt2img.start":
            latents = after[LATENTS].roll(self.shifts, (2, 3))
            even = latents[..., :1, :1].expand_as(latents)
            after = after.put(LATENTS, even if self.even else latents)
        return after


@pytest.fixture(scope="module")
def changes() -> Changes:
    return Changes()


@pytest.fixture(scope="module")
def host(watcher: Any, changes: Changes) -> Iterator[Host]:
    with contextlib.closing(Host(plugins=[*PLUGINS, watcher, changes])) as host:
        assert {record.status for record in host.records} == {"active"}, host.records
        yield host


def request(model: object, *sides: str, **asked: Any) -> Request:
    options = {"seamless": {f"seamless_{side}": True for side in sides}}
    fields = {"task": "txt2img", "prompt": "a red fish", "steps": 4, "seed": 3, "guidance": 3.0}
    return Request(model=str(model), **{**fields, "options": options, **asked})


def changed_convolutions(watcher: Any) -> int:
    """How many convolutions of the last job's model have a hook, or another padding than when it was made."""
    parts = [watcher.after["load"][PLACED][name] for name in ("unet", "vae_encoder", "vae_decoder")]
    found = [conv for part in parts for conv in part.module.modules() if isinstance(conv, torch.nn.Conv2d)]
    assert len(found) > 20
    return sum(bool(conv._forward_pre_hooks) or len(set(conv.padding)) > 1 for conv in found)


def steps(picture: Image.Image, axis: int) -> tuple[float, float]:
    """The mean difference of neighbours across the edge, and everywhere inside."""
    values = np.asarray(picture.convert("RGB"), dtype=float).swapaxes(0, axis)
    differences = np.abs(values - np.roll(values, 1, axis=0)).mean(axis=(1, 2))
    return float(differences[0]), float(differences[1:].mean())


def seam(pictures: list[Image.Image], axis: int) -> float:
    """The step across the edge as a multiple of those inside, over all pictures."""
    across, inside = np.mean([steps(picture, axis) for picture in pictures], axis=0)
    return float(across / inside)


@pytest.mark.parametrize("name", ["sd", "sdxl"])
@pytest.mark.parametrize("way", SHIFTS)
def test_noise_rolled_is_the_picture_rolled(
    host: Host, small: Callable[[str], Any], watcher: Any, changes: Changes, *, name: str, way: str
) -> None:
    folder, found = small(name).folder, []
    for options in (ROLLED[way], ()):
        for changes.shifts in ((0, 0), SHIFTS[way]):
            picture = host.run(request(folder, *options)).artifacts[0].open()
            found.append((watcher.after["sample"][LATENTS], np.asarray(picture, dtype=int)))
    changes.shifts = (0, 0)
    (still, seen), (rolled, moved), (plain, _), (other, _) = found
    down, right = SHIFTS[way]
    wanted = still.roll((down, right), (2, 3))
    assert float((rolled - wanted).abs().max()) <= 1e-4 * float(wanted.std())
    assert np.abs(moved - np.roll(seen, (down * FACTOR, right * FACTOR), (0, 1))).max() <= 1
    assert float((other - plain.roll((down, right), (2, 3))).abs().max()) > 0.1 * float(plain.std())


@pytest.mark.parametrize(("one", "other"), [("x", "y"), ("y", "x")])
def test_one_direction_leaves_the_other(
    host: Host, small: Callable[[str], Any], watcher: Any, changes: Changes, *, one: str, other: str
) -> None:
    folder, found = small("sd").folder, []
    for changes.shifts in ((0, 0), SHIFTS[other]):
        host.run(request(folder, one))
        found.append(watcher.after["sample"][LATENTS])
    changes.shifts = (0, 0)
    wanted = found[0].roll(SHIFTS[other], (2, 3))
    assert float((found[1] - wanted).abs().max()) > 0.1 * float(wanted.std())


SIDES: Mapping[str, tuple[str, ...]] = {"none": (), "x": ("x",), "y": ("y",), "both": ("x", "y")}


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_the_embedded_models_seams_are_as_smooth_as_its_insides(host: Host, sides: tuple[str, ...]) -> None:
    jobs = [request("emoji", *sides, prompt="", steps=8, seed=seed, batch=4) for seed in (0, 4)]
    pictures = [artifact.open() for job in jobs for artifact in host.run(job).artifacts]
    for side, axis in (("x", 1), ("y", 0)):
        if side in sides:
            assert 0.5 < seam(pictures, axis) < 1.5
        else:
            assert seam(pictures, axis) > 1.8


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_what_starts_alike_everywhere_ends_so_and_shows_no_seam(
    host: Host, small: Callable[[str], Any], changes: Changes, name: str
) -> None:
    """Random weights make noise, in which no seam shows; of even latents they make the seams alone."""
    changes.even = True
    for sides in SIDES.values():
        picture = host.run(request(small(name).folder, *sides)).artifacts[0].open()
        assert [steps(picture, axis)[0] > 2 for axis in (1, 0)] == [side not in sides for side in "xy"]
    changes.even = False
    assert np.ptp(np.asarray(picture), (0, 1)).max() <= 1


def test_a_job_after_it_is_as_one_before_it(host: Host, small: Callable[[str], Any], watcher: Any) -> None:
    folder, found = small("sd").folder, []
    for sides in ((), ("x",), ("y",), ("x", "y"), ()):
        result = host.run(request(folder, *sides))
        assert changed_convolutions(watcher) == 0
        assert result.applied.get("seamless") == ({s: s in sides for s in "xy"} if sides else None)
        found.append(watcher.after["sample"][LATENTS])
    assert found[0].equal(found[-1])
    assert all(not one.equal(other) for one, other in pairwise(found))


@pytest.mark.parametrize("stage", ["seamless", "stable-diffusion.denoise", "sample"])
def test_a_job_that_fails_leaves_the_model_as_it_was(
    host: Host, small: Callable[[str], Any], watcher: Any, changes: Changes, stage: str
) -> None:
    plain = request(small("sd").folder)
    host.run(plain)
    before, changes.breaks = watcher.after["sample"][LATENTS], stage
    with pytest.raises(LatentryError, match="stopped"):
        host.run(request(plain.model, "x", "y"))
    changes.breaks = None
    assert changed_convolutions(watcher) == 0
    host.run(plain)
    assert watcher.after["sample"][LATENTS].equal(before)


def test_pictures_to_start_from_are_read_as_they_tile(host: Host, small: Callable[[str], Any]) -> None:
    """At little strength the picture is the input, rolled or not; the edges tell them apart."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    asked = {"task": "img2img", "guidance": 1.0, "steps": 10}
    found = []
    for sides in (("x", "y"), ()):
        options = {"seamless": {f"seamless_{side}": True for side in sides}, "img2img": {"strength": 0.1}}
        pictures = []
        for shifts in ((0, 0), (32, 32)):
            source = Image.fromarray(np.roll(noise, shifts, (0, 1)))
            jobs = host.run(request(small("sd").folder, **asked, inputs={"image": source}, options=options))
            pictures.append(np.asarray(jobs.artifacts[0].open(), dtype=int))
        found.append(np.abs(np.roll(pictures[0], (32, 32), (0, 1)) - pictures[1])[28:36, 28:36].max())
    assert found[0] < found[1]


def test_a_device_that_converts_is_refused_in_one_line(host: Host, small: Callable[[str], Any]) -> None:
    placed = request(small("sd").folder, "x", place={"vae_decoder": "openvino"})
    with pytest.raises(LatentryError) as caught:
        host.run(placed)
    assert str(caught.value) == (
        "device 'openvino' cannot change vae_decoder for one job; "
        "place vae_decoder on a device that runs torch modules as they are"
    )
