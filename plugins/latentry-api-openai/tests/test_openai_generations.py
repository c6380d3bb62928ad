"""Pictures from a prompt: what becomes of each parameter."""

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from latentry_api_openai.asking import STEPS

if TYPE_CHECKING:
    from conftest import Started


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


def test_a_prompt_alone_is_a_job_of_txt2img(started: "Started") -> None:
    started.client().images.generate(prompt="a cat")
    (wish,) = started.jobs.wishes
    assert wish.inputs == {}
    assert wish.request == {
        "task": "txt2img",
        "prompt": "a cat",
        "negative": "",
        "steps": 20,
        "batch": 1,
        "format": "png",
        "options": {},
    }


def test_every_parameter_reaches_the_job(started: "Started") -> None:
    own = {"seed": 7, "steps": 5, "negative_prompt": "a dog", "guidance": 3.5, "sampler": "heun"}
    own |= {"scheduler": "karras", "options": {"prompt": {"syntax": "plain"}}}
    started.client().images.generate(
        prompt="a cat", model="emoji", n=3, size="96x64", quality="high", output_format="webp",
        output_compression=80, background="opaque", moderation="low", style="vivid",
        response_format="b64_json", user="one", extra_body=own,
    )  # fmt: skip
    assert started.jobs.wishes[0].request == {
        "task": "txt2img",
        "prompt": "a cat",
        "negative": "a dog",
        "model": "emoji",
        "seed": 7,
        "steps": 5,
        "sampler": "heun",
        "scheduler": "karras",
        "guidance": 3.5,
        "width": 96,
        "height": 64,
        "batch": 3,
        "format": "webp",
        "options": {"write_images": {"quality": 80}, "prompt": {"syntax": "plain"}},
    }


@pytest.mark.parametrize(
    ("quality", "steps"), [*STEPS.items(), ("auto", 20), ("standard", 20), ("hd", 30), (None, 20)]
)
def test_quality_is_a_number_of_steps(started: "Started", quality: Any, steps: int) -> None:
    started.client().images.generate(prompt="a cat", quality=quality)
    assert started.jobs.wishes[0].request["steps"] == steps


def test_null_is_as_left_out(started: "Started") -> None:
    names = (
        "model",
        "n",
        "size",
        "quality",
        "style",
        "background",
        "output_format",
        "seed",
        "stream",
        "options",
    )
    started.client().images.generate(prompt="a cat")
    started.post("/images/generations", json={"prompt": "a cat", **dict.fromkeys(names)})
    first, second = started.jobs.wishes
    assert first == second


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_all_pictures_come_in_the_reply_with_their_size(started: "Started", form: Any) -> None:
    reply = started.client().images.generate(prompt="a cat", n=4, size="80x64", output_format=form)
    assert (reply.size, reply.output_format, reply.quality) == ("80x64", form, "medium")
    assert reply.created == int(started.jobs.kept["0"].created)
    pictures = [decoded(one.b64_json or "") for one in reply.data or ()]
    assert [(one.format, one.size) for one in pictures] == [(form.upper(), (80, 64))] * 4


def test_the_models_are_those_that_can_be_named(started: "Started") -> None:
    client = started.client()
    assert [one.id for one in client.models.list()] == ["emoji", "sub/other.safetensors"]
    for name in ("emoji", "sub/other.safetensors"):
        assert client.models.retrieve(name).id == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "x" * 100_001}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.5}, "n"),
        ({"size": "big"}, "size"),
        ({"size": "0x64"}, "size"),
        ({"size": "64x64x64"}, "size"),
        ({"size": "64X64"}, "size"),
        ({"size": "٣x٣"}, "size"),
        ({"size": "64x64\n"}, "size"),
        ({"size": 64}, "size"),
        ({"quality": "best"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"moderation": "none"}, "moderation"),
        ({"style": "natural"}, "style"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_format": "svg"}, "output_format"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression"),
        ({"output_compression": 50}, "output_compression"),
        ({"response_format": "url"}, "response_format"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"partial_images": 2}, "partial_images"),
        ({"stream": "perhaps"}, "stream"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"steps": True}, "steps"),
        ({"guidance": "much"}, "guidance"),
        ({"options": {"a": 1}}, "options"),
        ({"options": []}, "options"),
        ({"user": "x" * 513}, "user"),
        ({"input_fidelity": "low"}, "input_fidelity"),
        ({"frame_count": 3}, "frame_count"),
    ],
    ids=str,
)
def test_a_bad_parameter_is_refused_and_named(started: "Started", fields: dict[str, Any], param: str) -> None:
    given = fields if "prompt" in fields or not fields else {"prompt": "a cat", **fields}
    answer = started.post("/images/generations", json=given)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["x-should-retry"] == "false"
    assert started.jobs.wishes == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["n", "steps", "seed", "guidance", "output_compression", "partial_images"])
def test_no_number_is_none(started: "Started", name: str, number: str) -> None:
    text = f'{{"prompt": "a cat", "output_format": "jpeg", "{name}": {number}}}'
    answer = started.post("/images/generations", content=text, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'"a cat"', "application/json"),
        (b'{"prompt": "\xff"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"prompt": "a cat"}', "text/plain"),
        (b"prompt=a", "application/x-www-form-urlencoded"),
    ],
    ids=str,
)
def test_what_is_no_json_object_is_refused(started: "Started", content: bytes, kind: str) -> None:
    answer = started.post("/images/generations", content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    started.client().images.generate(prompt="a cat")
