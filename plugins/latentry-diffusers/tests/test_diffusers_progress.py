"""A pipeline tells of its steps, and stops between two of them."""

import threading

import pytest

from latentry_diffusers.progress import Progress
from latentry_diffusers.sources import Pipeline, pipeline
from latentry_sdk import Cancelled, Stepped


def steps_told(host, request):
    events = []
    result = host.run(request, on_event=events.append)
    return [(event.step, event.steps) for event in events if isinstance(event, Stepped)], result


@pytest.mark.parametrize("name", ["flux", "sd3", "pixart", "sana", "qwen", "wan"])
def test_each_step_of_each_image_is_told_once(name, host, ask):
    told, result = steps_told(host, ask(name, batch=2))
    assert told == [(step, 6) for step in range(1, 7)]
    assert result.applied["steps"] == 3
    assert result.warnings == ()


def test_image_to_image_tells_the_steps_that_the_class_runs(host, ask, photo):
    options = {"img2img": {"strength": 0.6}}
    told, result = steps_told(host, ask("flux", "img2img", inputs={"image": photo}, steps=4, options=options))
    assert told == [(1, 3), (2, 3), (3, 3)]  # diffusers rounds 2.4 up for Flux
    assert result.applied["steps"] == 3


@pytest.mark.parametrize("name", ["flux", "pixart"])
def test_a_job_stops_between_two_steps(name, host, ask):
    cancel, told = threading.Event(), []

    def watch(event):
        if isinstance(event, Stepped):
            told.append(event.step)
            if event.step == 2:
                cancel.set()

    with pytest.raises(Cancelled):
        host.run(ask(name, steps=8), on_event=watch, cancel=cancel)
    assert told == [1, 2]


def test_the_pipeline_is_as_good_as_new_after_a_stop(host, ask):
    before = host.run(ask("flux")).artifacts[0].data
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        host.run(ask("flux", steps=8), on_event=lambda event: stop(event, cancel), cancel=cancel)
    assert pixels(host.run(ask("flux")).artifacts[0].data) == pixels(before)


def test_a_class_that_tells_nothing_is_run_with_a_warning(mute):
    kind = Pipeline("MutePipeline", {"prompt": None}, frozenset(), frozenset({"images"}))
    assert Progress(mute, 1, 3).callbacks(kind) == {}
    assert mute.warnings == ("MutePipeline tells nothing of its steps, and stops between images only",)


def test_the_older_way_of_telling_is_known(mute):
    assert set(Progress(mute, 1, 3).callbacks(pipeline("PixArtSigmaPipeline"))) == {
        "callback",
        "callback_steps",
    }
    assert set(Progress(mute, 1, 3).callbacks(pipeline("FluxPipeline"))) == {"callback_on_step_end"}


@pytest.fixture
def mute():
    """A job that tells nobody."""
    from latentry.job import Job

    return Job("test", None, notify=lambda event: None)


def stop(event, cancel):
    if isinstance(event, Stepped):
        cancel.set()


def pixels(data):
    import io

    from PIL import Image

    return Image.open(io.BytesIO(data)).tobytes()
