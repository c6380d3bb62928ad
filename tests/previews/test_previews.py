"""Small pictures of jobs on the embedded model: what they show, when they come, what they leave as it is."""

from collections.abc import Callable, Generator, Iterator, Mapping
from io import BytesIO
from itertools import pairwise
from threading import Event as Flag
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import latentry_cpu
import latentry_emoji
import latentry_images
import latentry_img2img
import latentry_inpaint
import latentry_preview
import latentry_prompt
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Config, Host, Request, Result, UserError
from latentry.errors import Cancelled
from latentry_preview.drawing import drawn
from latentry_preview.factors import factors_of
from latentry_sdk import DENOISE, IMAGES, JOB, LATENTS, Previewed, StageSpec, State, Stepped, hookimpl

WITHOUT = (
    latentry_cpu,
    latentry_emoji,
    latentry_images,
    latentry_img2img,
    latentry_inpaint,
    latentry_prompt,
    latentry_samplers,
    latentry_schedules,
    latentry_stable_diffusion,
    latentry_txt2img,
)
STEPS, SIDE, FACTOR = 8, 64, 4
PROMPTS = (
    "a red apple on a blue background",
    "a pizza on a white background",
    "a green frog on a yellow background",
)
CALLS = {
    "euler": 1,
    "dpmpp_2m": 1,
    "dpm_fast": 1,
    "uni_pc": 1,
    "euler_ancestral": 1,
    "lcm": 1,
    "heun": 2,
    "dpm_2": 2,
    "dpm_2_ancestral": 2,
    "dpmpp_sde": 2,
    "heunpp2": 3,
}
"""How many times a step these samplers ask the model, at most."""


class Watcher:
    """A plugin that keeps the state after each stage, and what the denoiser gave, in order."""

    def __init__(self) -> None:
        self.after: dict[str, State] = {}
        self.cleans: list[Any] = []

    @hookimpl(wrapper=True)
    def run_stage(self, stage: StageSpec, state: State) -> Generator[None, State, State]:
        """Remember what the stage gave; wrap the denoiser before the preview does."""
        after = yield
        if stage.name.endswith(".denoise"):
            inner = after[DENOISE]
            self.cleans.clear()

            def denoise(x: Any, sigma: float) -> Any:
                self.cleans.append(inner(x, sigma))
                return self.cleans[-1]

            after = after.put(DENOISE, denoise)
        self.after[stage.name] = after
        return after

    def decoded(self, clean: Any) -> list[Image.Image]:
        """The pictures that the model's own decoder makes of latents."""
        state = self.after["sample"]
        (decode,) = [stage for stage in state[JOB].plan.stages if stage.name.endswith(".decode")]
        return list(decode.run(state.put(LATENTS, clean))[IMAGES])


@pytest.fixture(scope="module")
def watcher() -> Watcher:
    """What stages and denoiser gave."""
    return Watcher()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, watcher: Watcher) -> Iterator[Host]:
    """A host that shows previews, with a cache folder of its own."""
    folder = tmp_path_factory.mktemp("host")
    config = Config(models_dir=folder, data_dir=folder, cache_dir=folder)
    with Host(plugins=[*WITHOUT, latentry_preview, watcher], config=config) as host:
        yield host


@pytest.fixture
def inputs() -> Mapping[str, Image.Image]:
    """A picture and a mask."""
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=255)
    return {"image": Image.new("RGB", (SIDE, SIDE), "white"), "mask": mask}


Listener = Callable[[Any], None]


def run(
    host: Host, every: int = 1, *, listen: Listener | None = None, **asked: Any
) -> tuple[Result, list[Any]]:
    """The result, and the events `Stepped` and `Previewed` in order."""
    events: list[Any] = []

    def keep(event: Any) -> None:
        if isinstance(event, Stepped | Previewed):
            events.append(event)
        if listen:
            listen(event)

    options = {"preview": {"preview_every": every, **asked.pop("preview", {})}, **asked.pop("options", {})}
    fields = {"task": "txt2img", "prompt": PROMPTS[0], "steps": STEPS, "seed": 7, **asked}
    return host.run(Request(options=options, **fields), on_event=keep), events


def previews(events: list[Any]) -> list[Previewed]:
    return [event for event in events if isinstance(event, Previewed)]


def pixels(event: Previewed, index: int = 0) -> Any:
    image = event.images[index]
    opened = Image.open(BytesIO(image.data))
    assert opened.size == (image.width, image.height)
    assert (opened.format, image.media_type, image.index) == ("JPEG", "image/jpeg", index)
    return np.asarray(opened, float) / 255


def reduced(picture: Image.Image) -> Any:
    return np.asarray(picture.reduce(FACTOR), float) / 255


def likeness(one: Any, other: Any) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_preview_resembles_the_decoded_picture_of_its_step(
    host: Host, watcher: Watcher, prompt: str
) -> None:
    _, events = run(host, prompt=prompt)
    found = [
        likeness(pixels(event), reduced(watcher.decoded(clean)[0]))
        for event, clean in zip(previews(events), watcher.cleans, strict=True)
    ]
    assert found[0] > 0.7  # a blur of almost one colour
    assert min(found[1:]) > 0.85


@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("orange", 0), ("blue", 2)])
def test_the_dominant_colour_of_the_last_preview_is_the_pictures(
    host: Host, colour: str, channel: int
) -> None:
    result, events = run(host, prompt=f"a pizza on a {colour} background")
    shown, final = (
        edge(pixels(previews(events)[-1])),
        edge(np.asarray(result.artifacts[0].open(), float) / 255),
    )
    assert (shown.argmax(), final.argmax()) == (channel, channel)
    assert np.abs(shown - final).max() < 0.35


def test_light_and_dark_are_as_in_the_picture(host: Host) -> None:
    light, dark = (
        edge(pixels(previews(run(host, STEPS, prompt=f"a pizza on a {colour} background")[1])[0])).mean()
        for colour in ("white", "black")
    )
    assert light > 0.85
    assert dark < 0.25


def edge(picture: Any) -> Any:
    """The mean colour of a picture's outermost pixels."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).mean(axis=0)


def test_the_fit_is_at_least_as_good_as_the_best_sum_of_channels_for_these_pictures(
    host: Host, watcher: Watcher
) -> None:
    rows, colours, found = [], [], []
    for prompt in PROMPTS:
        _, events = run(host, prompt=prompt)
        for event, clean in zip(previews(events), watcher.cleans, strict=True):
            colours.append(reduced(watcher.decoded(clean)[0]).reshape(-1, 3))
            latents = clean[0].flatten(1).T.numpy()
            rows.append(np.hstack([latents, np.ones((len(latents), 1))]))
            found.append(likeness(pixels(event).reshape(-1, 3), colours[-1]))
    best, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(colours), rcond=None)
    possible = [likeness((row @ best).clip(0, 1), colour) for row, colour in zip(rows, colours, strict=True)]
    assert np.mean(found) > np.mean(possible)


@pytest.mark.parametrize("every", [1, 3, STEPS])
def test_previews_come_right_after_every_so_many_steps(host: Host, every: int) -> None:
    _, events = run(host, every)
    due = [step for step in range(1, STEPS + 1) if step % every == 0]
    assert [(event.step, event.steps) for event in previews(events)] == [(step, STEPS) for step in due]
    for before, event in pairwise(events):
        if isinstance(event, Previewed):
            assert isinstance(before, Stepped)
            assert (before.job, before.step) == (event.job, event.step)


@pytest.mark.parametrize("sampler", CALLS)
def test_steps_are_counted_for_samplers_that_ask_the_model_more_often(
    host: Host, watcher: Watcher, sampler: str
) -> None:
    _, events = run(host, 2, sampler=sampler)
    assert [event.step for event in previews(events)] == [2, 4, 6, 8]
    assert len(watcher.cleans) <= CALLS[sampler] * STEPS
    assert (len(watcher.cleans) > STEPS) == (CALLS[sampler] > 1)


def test_of_two_looks_a_step_the_first_is_shown_not_the_guess(host: Host, watcher: Watcher) -> None:
    _, events = run(host, sampler="heun")
    looks, factors = watcher.cleans[::2], torch.tensor(factors_of(watcher.after["sample"]))
    assert len(looks) == STEPS
    for event, clean in zip(previews(events), looks, strict=True):
        assert event.images == drawn(factors, None, clean)


@pytest.mark.parametrize(
    ("asked", "size"), [({}, (16, 24)), ({"preview_size": 8}, (5, 8)), ({"preview_size": 96}, (64, 96))]
)
def test_the_longest_side_is_as_asked(host: Host, asked: dict[str, int], size: tuple[int, int]) -> None:
    _, events = run(host, STEPS, preview=asked, width=64, height=96)
    (image,) = previews(events)[0].images
    assert (image.width, image.height) == size
    pixels(previews(events)[0])


def test_an_image_of_a_batch_is_previewed_as_its_single_run(host: Host) -> None:
    _, events = run(host, 4, batch=3)
    for index in range(3):
        _, alone = run(host, 4, seed=7 + index)
        for together, single in zip(previews(events), previews(alone), strict=True):
            assert len(together.images) == 3
            assert np.abs(pixels(together, index) - pixels(single)).max() < 3 / 255


def test_a_sampler_that_solves_image_after_image_shows_each_while_it_does(host: Host) -> None:
    asked: dict[str, Any] = {"sampler": "dpm_adaptive", "guidance": 1, "batch": 2}
    with Host(plugins=[*WITHOUT, latentry_preview], config=host.config) as bare:
        result, events = run(bare, **asked)
    shown = previews(events)
    assert {len(event.images) for event in shown} == {1}
    assert [event.images[0].index for event in shown] == sorted(event.images[0].index for event in shown)
    assert {event.images[0].index for event in shown} == {0, 1}
    assert [event.step for event in shown] == sorted({event.step for event in shown})
    plain, _ = run(host, 0, **asked)
    for one, other in zip(result.artifacts, plain.artifacts, strict=True):
        assert np.array_equal(one.open(), other.open())


def test_inpainting_shows_the_picture_about_what_is_painted(host: Host, inputs: Mapping[str, Any]) -> None:
    source = run(host, prompt="a pizza on a red background")[0].artifacts[0].open()
    given, options = {**inputs, "image": source}, {"inpaint": {"strength": 0.75}}
    _, events = run(
        host, 2, task="inpaint", inputs=given, options=options, prompt="a cat on a red background"
    )
    assert [(event.step, event.steps) for event in previews(events)] == [(2, 6), (4, 6), (6, 6)]
    about = ~np.asarray(inputs["mask"].reduce(FACTOR), bool)
    for event in previews(events):
        shown, there = (each[about].mean(axis=0) for each in (pixels(event), reduced(source)))
        assert np.abs(shown - there).max() < 0.3


def test_image_to_image_counts_the_steps_that_run(host: Host, inputs: Mapping[str, Any]) -> None:
    given = {"image": inputs["image"]}
    _, events = run(host, 2, task="img2img", inputs=given, options={"img2img": {"strength": 0.5}})
    assert [(event.step, event.steps) for event in previews(events)] == [(2, 4), (4, 4)]


def test_a_listener_of_previews_may_cancel(host: Host) -> None:
    cancel, seen = Flag(), []

    def stop(event: Any) -> None:
        if isinstance(event, Previewed):
            seen.append(event.step)
            cancel.set()

    request = Request(task="txt2img", prompt="x", steps=STEPS, options={"preview": {"preview_every": 2}})
    with pytest.raises(Cancelled):
        host.run(request, on_event=stop, cancel=cancel)
    assert seen == [2]
    assert len(previews(run(host, 4)[1])) == 2


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde", "heun"])
def test_the_picture_is_the_same_with_and_without_previews(host: Host, sampler: str) -> None:
    (shown, events), (plain, none) = (run(host, every, sampler=sampler) for every in (1, 0))
    assert np.array_equal(shown.artifacts[0].open(), plain.artifacts[0].open())
    assert (len(previews(events)), previews(none)) == (STEPS, [])


def test_off_leaves_the_denoiser_and_the_job_as_they_are(host: Host, watcher: Watcher) -> None:
    run(host, 0)
    before, after = watcher.after["txt2img.start"], watcher.after["preview"]
    assert after[DENOISE] is before[DENOISE]
    assert after[JOB] is before[JOB]


def test_off_the_picture_equals_that_of_a_host_without_the_plugin(host: Host) -> None:
    with Host(plugins=WITHOUT, config=host.config) as plain:
        request = Request(task="txt2img", prompt=PROMPTS[0], steps=STEPS, seed=7)
        pictures = [each.run(request).artifacts[0].open() for each in (plain, host)]
    assert np.array_equal(*pictures)


def test_the_factors_are_kept_for_later_hosts(host: Host) -> None:
    run(host)
    (file,) = (host.config.cache_dir / "preview").iterdir()
    kept, changed = file.read_bytes(), file.stat().st_mtime_ns
    with Host(plugins=[*WITHOUT, latentry_preview], config=host.config) as again:
        assert previews(run(again)[1])
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (kept, changed)


def test_more_steps_than_there_are_is_told(host: Host) -> None:
    result, events = run(host, STEPS + 1)
    assert previews(events) == []
    assert any("every 9 is more than the 8 steps" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    "wrong",
    [{"preview_every": value} for value in (-1, 1001, 1.5, True, "x", float("nan"), float("inf"), [1])]
    + [{"preview_size": value} for value in (0, 7, 513, -64, 32.5, True, "x", float("nan"), float("-inf"))]
    + [{"often": 1}],
    ids=str,
)
def test_bad_options_are_refused_at_planning_in_one_line(host: Host, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        host.plan(Request(task="txt2img", prompt="x", options={"preview": wrong}))
    assert len(str(caught.value).splitlines()) == 1
    assert next(iter(wrong)) in str(caught.value)
