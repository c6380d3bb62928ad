"""Streams: the events and their fields, as the official client reads them."""

import base64
import io
import json
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest
from PIL import Image

from latentry_sdk import Preview

if TYPE_CHECKING:
    from conftest import Started

FIELDS = {"type", "b64_json", "size", "quality", "background", "output_format", "created_at"}


def picture(size: tuple[int, int] = (32, 24), form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, form)
    return file.getvalue()


def previews(count: int, images: int = 1) -> tuple[Preview, ...]:
    return tuple(Preview(index, 32, 24, picture()) for _ in range(count) for index in range(images))


def shape(event: Any) -> tuple[str, tuple[int, int]]:
    """What kind of file an event brings, and its size."""
    opened = Image.open(io.BytesIO(base64.b64decode(event.b64_json, validate=True)))
    return str(opened.format), opened.size


def test_partial_pictures_come_before_the_whole_ones(started: "Started") -> None:
    started.jobs.previews = previews(3)
    stream = started.client().images.generate(prompt="a cat", stream=True, partial_images=3, size="64x64")
    *partial, last = list(stream)
    assert [event.type for event in partial] == ["image_generation.partial_image"] * 3
    assert [event.partial_image_index for event in partial] == [0, 1, 2]
    assert {(*shape(event), event.size, event.output_format) for event in partial} == {
        ("JPEG", (32, 24), "32x24", "jpeg")
    }
    assert (last.type, *shape(last)) == ("image_generation.completed", "PNG", (64, 64))
    assert (last.size, last.quality, last.background, last.output_format) == (
        "64x64",
        "medium",
        "auto",
        "png",
    )
    assert last.usage.total_tokens == 0
    assert abs(last.created_at - time.time()) < 60


def test_an_edit_has_names_of_its_own(started: "Started") -> None:
    started.jobs.previews = previews(1)
    stream = started.client().images.edit(
        image=picture(form="PNG"), prompt="a cat", stream=True, partial_images=1, output_format="webp"
    )
    partial, last = list(stream)
    assert (partial.type, last.type) == ("image_edit.partial_image", "image_edit.completed")
    assert shape(last)[0] == "WEBP"


def test_no_more_partial_pictures_come_than_were_asked_for_and_of_the_first_alone(started: "Started") -> None:
    started.jobs.previews = previews(5, images=2)
    stream = started.client().images.generate(prompt="a cat", n=2, stream=True, partial_images=2)
    assert [event.type.partition(".")[2] for event in stream] == [
        "partial_image", "partial_image", "completed", "completed",
    ]  # fmt: skip


@pytest.mark.parametrize(("partial", "every"), [(1, 10), (2, 6), (3, 5)])
def test_previews_are_spread_over_the_steps(started: "Started", partial: int, every: int) -> None:
    list(started.client().images.generate(prompt="a cat", stream=True, partial_images=partial, size="96x64"))
    options = started.jobs.wishes[0].request["options"]
    assert options == {"preview": {"preview_every": every, "preview_size": 96}}


@pytest.mark.parametrize(
    ("size", "longest"), [("auto", 512), ("2048x64", 512), ("8x8", 8), ("4x4", 8), ("64x40", 64)]
)
def test_previews_are_as_large_as_the_picture_up_to_512(started: "Started", size: Any, longest: int) -> None:
    fields = {"prompt": "a cat", "stream": True, "partial_images": 1, "steps": 1, "size": size}
    started.post("/images/generations", json=fields)
    options = started.jobs.wishes[0].request["options"]
    assert options == {"preview": {"preview_every": 1, "preview_size": longest}}


def test_without_partial_pictures_no_preview_is_asked_for(started: "Started") -> None:
    (only,) = list(started.client().images.generate(prompt="a cat", stream=True))
    assert only.type == "image_generation.completed"
    assert started.jobs.wishes[0].request["options"] == {}


def test_on_the_wire_the_names_and_fields_are_openais(started: "Started") -> None:
    started.jobs.previews = previews(1)
    fields = {"prompt": "a cat", "stream": True, "partial_images": 1}
    answer = started.post("/images/generations", json=fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, second, rest = answer.text.split("\n\n")
    assert rest == ""
    for text, name, more in (
        (first, "image_generation.partial_image", {"partial_image_index"}),
        (second, "image_generation.completed", {"usage"}),
    ):
        event, data = text.split("\n")
        assert event == f"event: {name}"
        said = json.loads(data.removeprefix("data: "))
        assert said["type"] == name
        assert set(said) == FIELDS | more


def test_a_job_that_fails_ends_the_stream_with_its_error(started: "Started") -> None:
    started.jobs.error = {"type": "out_of_memory", "message": "8 GB wanted", "fix": None}
    with pytest.raises(openai.APIError, match="8 GB wanted") as caught:
        list(started.client().images.generate(prompt="a cat", stream=True))
    assert caught.value.code == "out_of_memory"
    assert len(started.jobs.wishes) == 1


def test_what_is_refused_is_no_stream(started: "Started") -> None:
    with pytest.raises(openai.NotFoundError):
        started.client().images.generate(prompt="a cat", stream=True, model="none")


def test_a_client_that_leaves_its_stream_cancels_the_job(started: "Started") -> None:
    started.jobs.held, started.jobs.previews = True, previews(1)
    fields = {"prompt": "a cat", "stream": True, "partial_images": 1}
    with started.stream("/images/generations", json=fields) as answer:
        next(answer.iter_lines())
    end = time.monotonic() + 2
    while started.jobs.kept["0"].status == "running" and time.monotonic() < end:
        time.sleep(0.01)
    assert started.jobs.kept["0"].status == "cancelled"
