"""The task hires on a host with every plugin: what it may be asked for, what it tells and what it refuses."""

import json
from collections.abc import Iterator
from importlib import import_module
from math import inf, nan
from threading import Event
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from latentry import Config, Host, Request, Result, UserError
from latentry_sdk import Cancelled, ModelLoaded, Previewed, Stepped

Fields = dict[str, Any]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins, on folders of its own."""
    folder = tmp_path_factory.mktemp("host")
    with Host(config=Config(models_dir=folder, data_dir=folder, cache_dir=folder)) as host:
        yield host


def request(hires: Fields, options: Fields | None = None, **asked: Any) -> Request:
    fields = {"prompt": "a red apple on a blue background", "steps": 4, "seed": 7, **asked}
    return Request(task="hires", options={"hires": {"scale": 1.5, **hires}, **(options or {})}, **fields)


def run(host: Host, hires: Fields, options: Fields | None = None, **asked: Any) -> Result:
    return host.run(request(hires, options, **asked))


def pixels(result: Result, index: int = 0) -> Any:
    return np.asarray(result.artifacts[index].open())


@pytest.mark.parametrize(
    "hires",
    [
        {"steps": 8},
        {"strength": 0.3},
        {"exact_steps": True},
        {"sampler": "euler_ancestral"},
        {"sampler": "Euler a", "sampler_options": {"eta": 0.3}},
        {"scheduler": "karras"},
        {"scheduler": "karras", "scheduler_options": {"rho": 3.0}},
        {"prompt": "a green leaf"},
        {"negative": "a blue background"},
        {"guidance": 2.0},
        *({"upscaler": name} for name in ("latent_nearest", "latent_bicubic", "lanczos", "bicubic")),
        *({"upscaler": name} for name in ("bilinear", "nearest", "latent_nearest_exact")),
        *({"upscaler": f"latent_{name}antialiased"} for name in ("", "bicubic_")),
    ],
    ids=str,
)
def test_every_option_changes_the_second_pass_alone(host: Host, hires: Fields) -> None:
    plain, changed = run(host, {}), run(host, hires)
    assert pixels(changed).shape == (96, 96, 3)
    same = hires.get("upscaler") == "latent_antialiased"  # which enlarges as "latent", up to rounding
    assert same or not np.array_equal(pixels(plain), pixels(changed))
    for name in ("sampler", "scheduler", "steps", "size", "guidance", "seeds", "model"):
        assert plain.applied[name] == changed.applied[name]


def test_what_was_done_is_told_and_the_records_are_those_of_the_job(host: Host) -> None:
    hires = {"width": 64, "height": 96, "steps": 10, "sampler": "Euler a", "prompt": "a {leaf|leaf}"}
    result = run(host, hires, batch=2, width=64, height=64)
    told = result.applied["hires"]
    assert told["size"] == [64, 96]
    assert (told["sampler"], told["scheduler"], told["steps"]) == ("euler_ancestral", "normal", 7)
    assert told["prompts"] == [{"prompt": "a leaf", "negative": ""}] * 2
    assert (result.applied["steps"], result.applied["size"]) == (4, [64, 64])
    record = result.artifacts[1].open().info
    assert record["parameters"].startswith("a red apple on a blue background\nSteps: 4, Sampler: Euler,")
    assert json.loads(record["latentry"])["request"]["task"] == "hires"
    assert result.artifacts[1].open().size == (64, 96)


def test_the_steps_of_both_passes_are_counted_together(host: Host) -> None:
    seen: list[Any] = []
    host.run(request({"steps": 5, "strength": 0.6}, {"preview": {"preview_every": 2}}), on_event=seen.append)
    steps = [event for event in seen if isinstance(event, Stepped)]
    assert [(event.step, event.steps) for event in steps] == [(n, 7) for n in range(1, 8)]
    previews = [event for event in seen if isinstance(event, Previewed)]
    told = [(event.step, event.steps, event.images[0].width) for event in previews]
    assert told == [(2, 7, 16), (4, 7, 16), (6, 7, 24)]


@pytest.mark.parametrize("last", [2, 6])
def test_either_pass_can_be_stopped(host: Host, last: int) -> None:
    stop, seen = Event(), list[int]()

    def listen(event: object) -> None:
        if isinstance(event, Stepped):
            seen.append(event.step)
            if event.step == last:
                stop.set()

    with pytest.raises(Cancelled):
        host.run(request({"steps": 8}), on_event=listen, cancel=stop)
    assert seen[-1] == last


def test_what_the_second_pass_warns_of_is_told(host: Host) -> None:
    options = {"guidance_end": {"guidance_end": 0.5}}
    assert run(host, {}, options).warnings == ()
    (warning,) = run(host, {"guidance": 1}, options).warnings
    assert "guidance is off" in warning


def test_exact_steps_run_all(host: Host) -> None:
    for strength in (0.1, 0.3, 0.55, 1.0):
        told = run(host, {"steps": 3, "strength": strength, "exact_steps": True}).applied["hires"]
        assert told["steps"] == 3


def test_options_of_the_sampler_hold_for_both_passes_where_it_is_the_same(host: Host) -> None:
    asked = {"sampler": "euler_ancestral", "options": {"euler_ancestral": {"eta": 0.0}}}
    calm = run(host, {}, **asked)
    assert np.array_equal(pixels(calm), pixels(run(host, {"sampler": "Euler a"}, **asked)))
    assert not np.array_equal(pixels(calm), pixels(run(host, {"sampler_options": {"eta": 1.0}}, **asked)))
    assert pixels(run(host, {"sampler": "heun"}, **asked)).shape == (96, 96, 3)


def test_a_seed_that_was_drawn_serves_both_passes(host: Host) -> None:
    drawn = run(host, {"upscaler": "lanczos"}, seed=None, batch=2)
    for index, seed in enumerate(drawn.applied["seeds"]):
        again = run(host, {"upscaler": "lanczos"}, seed=seed)
        assert np.array_equal(pixels(drawn, index), pixels(again))


def test_the_model_is_loaded_once(host: Host) -> None:
    run(host, {})
    seen: list[Any] = []
    host.run(request({}), on_event=seen.append)
    assert not [event for event in seen if isinstance(event, ModelLoaded)]


BAD: list[tuple[Fields, str]] = [
    *(({"scale": value}, "scale") for value in (nan, inf, 0, 0.99, -1, 17, True, "x", [2])),
    *(({"width": value}, "width") for value in (nan, 0, 7, 63, 2.5, True, 16_385, "x")),
    *(({"height": value}, "height") for value in (nan, 0, -8, 65, 2.5, True, 10**6, "x")),
    *(({"upscaler": value}, "upscaler") for value in ("ESRGAN", "", True, 3, None, "x" * 100_000, [])),
    *(({"strength": value}, "strength") for value in (nan, inf, 0, -1, 1.0001, True, "x")),
    *(({"steps": value}, "steps") for value in (nan, -1, 1001, 2.5, True, "x")),
    *(({"exact_steps": value}, "exact_steps") for value in (nan, 2, "perhaps", None)),
    *(({"sampler": value}, "sampler") for value in ("nothing", "", 3, True, "x" * 200)),
    *(({"scheduler": value}, "scheduler") for value in ("nothing", "", 3, True, "x" * 200)),
    *(({"guidance": value}, "guidance") for value in (nan, inf, -0.5, 101, True, "x")),
    *(({"prompt": value}, "prompt") for value in (3, True, "x" * 100_001)),
    *(({"negative": value}, "negative") for value in (3, True, "x" * 100_001)),
    *(({"sampler_options": value}, "options") for value in ("x", 3, ["eta"], ["=1"], [3], {"eta": 1})),
    *(({"scheduler_options": value}, "options") for value in ("x", 3)),
    *(({"scheduler_options": value}, "unknown option 'rho'") for value in (["rho"], {"rho": 1})),
    ({"sampler": "euler_ancestral", "sampler_options": {"eta": 2}}, "eta"),
    ({"scheduler": "karras", "scheduler_options": {"rho": -1}}, "rho"),
    ({"strength": 0.1, "steps": 5}, "leaves no step"),
    ({"strength": 0.01, "steps": 100, "exact_steps": True}, "less than or equal to 1000"),
    ({"width": 16_384, "height": 16_384}, "megapixels"),
    ({"height": 16_384}, "hires: width"),
    ({"unknown": 1}, "unknown option"),
]


@pytest.mark.parametrize(("hires", "says"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_with_the_second_pass_is_refused_at_planning(
    host: Host, hires: Fields, says: str
) -> None:
    with pytest.raises((UserError, ValidationError)) as caught:
        host.plan(request(hires, height=32))
    assert len(str(caught.value).splitlines()) == 1
    assert says in str(caught.value)


def test_the_second_size_counts_against_the_budget_of_pixels(host: Host) -> None:
    assert host.plan(request({"scale": 2}, width=512, height=512, batch=16))
    with pytest.raises(UserError, match="16 × 2048 × 2048 is more than"):
        host.plan(request({"scale": 4}, width=512, height=512, batch=16))


def test_without_image_to_image_it_is_refused() -> None:
    """The second pass is planned as the task img2img."""
    names = ("cpu", "emoji", "hires", "images", "samplers", "schedules", "stable_diffusion", "txt2img")
    plugins = [import_module(f"latentry_{name}") for name in names]
    host = Host(plugins=plugins, config=Config())
    with pytest.raises(UserError, match=r"img2img\.start"):
        host.plan(Request(task="hires", model="emoji", prompt="a red apple"))
