"""Bad inputs of AUTOMATIC1111's API: each a 4xx of its shape in bounded time, and the next job succeeds."""

import base64
import io
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from latentry_sdk.testing import hostile

if TYPE_CHECKING:
    from tests.server.conftest import Started

SECONDS = 60.0
"""For an answer; it takes well under one, on a machine that does nothing else."""

SMALL: Mapping[str, Any] = {"prompt": "a red apple", "steps": 1, "width": 64, "height": 64, "seed": 1}
JSON = {"content-type": "application/json"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


GOOD = hostile.saved(hostile.scene(), "PNG")
READ = [name for name in hostile.PICTURES if name != "65 MiB"]  # no body of that size is read
TEXTS: Mapping[str, str] = {
    "no base64": "a picture",
    "bad padding": "AAA=A",
    "an address": "http://127.0.0.1:1/picture.png",
    "a file": "file:///etc/passwd",
    "empty": "",
    "only a prefix": "data:image/png;base64,",
}
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "steps nan": {"steps": float("nan")},
    "guidance inf": {"cfg_scale": float("inf")},
    "guidance huge": {"cfg_scale": 1e308},
    "guidance negative": {"cfg_scale": -100},
    "guidance true": {"cfg_scale": True},
    "steps 0": {"steps": 0},
    "steps million": {"steps": 10**6},
    "steps half": {"steps": 2.5},
    "seed": {"seed": 2**64},
    "subseed": {"subseed": -2, "subseed_strength": 0.5},
    "subseed strength": {"subseed_strength": 1.0001},
    "width 0": {"width": 0},
    "width 7": {"width": 7},
    "width 65": {"width": 65},
    "width million": {"width": 10**6},
    "batch": {"batch_size": 10**6},
    "iterations": {"n_iter": 10**6},
    "their product": {"batch_size": 64, "n_iter": 100, "width": 512, "height": 512},
    "sampler": {"sampler_name": "Eulerian"},
    "sampler's type": {"sampler_name": ["Euler"]},
    "scheduler": {"scheduler": "Turbo"},
    "upscaler": {"enable_hr": True, "hr_upscaler": "R-ESRGAN 4x+"},
    "second size": {"enable_hr": True, "hr_scale": 1000},
    "second checkpoint": {"enable_hr": True, "hr_checkpoint_name": "emoji"},
    "style": {"styles": ["../styles"]},
    "faces": {"restore_faces": True},
    "script": {"script_name": "X/Y/Z plot", "script_args": [1]},
    "a script that is on": {"alwayson_scripts": {"ControlNet": {"args": [{"enabled": True}]}}},
    "setting": {"override_settings": {"sd_unet": "x"}},
    "model by path": {"override_settings": {"sd_model_checkpoint": "../../emoji64"}},
    "model with NUL": {"override_settings": {"sd_model_checkpoint": "emoji\0"}},
    "model long": {"override_settings": {"sd_model_checkpoint": "x" * 4000}},
    "clip": {"override_settings": {"CLIP_stop_at_last_layers": 13}},
    "refiner by path": {"refiner_checkpoint": "/etc"},
    "unknown field": {"hr_cfg": 3},
    "prompt": {"prompt": "x" * 1_000_000},
    "half a character": {"prompt": "a \ud83d"},
}
"""What txt2img refuses, whatever else is right."""

IMG2IMG: Mapping[str, Mapping[str, Any]] = {
    "nothing": {"init_images": []},
    "many": {"init_images": ["AAAA"] * 10_000},
    "no list": {"init_images": "AAAA"},
    "resize mode": {"resize_mode": 3},
    "strength 0": {"denoising_strength": 0},
    "strength": {"denoising_strength": 1.0001},
    "fill": {"inpainting_fill": 4},
    "blur": {"mask_blur": 10_000, "mask": base64.b64encode(GOOD).decode()},
    "noise": {"initial_noise_multiplier": 0.5},
    "mask": {"mask": "a mask"},
    "padding": {"inpaint_full_res_padding": -1, "mask": base64.b64encode(GOOD).decode()},
}
BODIES: Mapping[str, bytes] = {
    "no json": b"prompt=x",
    "cut off": b'{"prompt": "x',
    "a list": b"[]",
    "null": b"null",
    "bytes": b"\xff\xfe",
    "a long number": b'{"steps": ' + b"1" * 5000 + b"}",
}


def sent(server: "Started", path: str, body: Any) -> httpx.Response:
    """A post of JSON, which may hold NaN and half characters."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{server.url}/sdapi/v1/{path}", content=content, headers=JSON, timeout=SECONDS)


def assert_refused(answer: httpx.Response) -> None:
    """A 4xx of A1111's shape whose detail is one line of bounded length."""
    assert 400 <= answer.status_code < 500, answer.text
    body = answer.json()
    assert body.keys() == {"error", "detail", "body", "errors"}
    assert body["error"]
    assert len(body["detail"].splitlines()) == 1
    assert len(body["detail"]) < 4000


@pytest.fixture(autouse=True)
def a_good_job_succeeds_after_it(server: "Started") -> Iterator[None]:
    yield
    answer = sent(server, "txt2img", SMALL)
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))) as made:
        assert made.size == (64, 64)


def img2img(**fields: Any) -> Mapping[str, Any]:
    """A request that is good but for these fields."""
    picture = base64.b64encode(GOOD).decode()
    return {**SMALL, "denoising_strength": 1, "init_images": [picture], **fields}


@pytest.mark.parametrize("name", FIELDS)
def test_a_bad_field_is_refused(server: "Started", name: str) -> None:
    assert_refused(sent(server, "txt2img", {**SMALL, **FIELDS[name]}))


@pytest.mark.parametrize("name", IMG2IMG)
def test_a_bad_field_of_img2img_is_refused(server: "Started", name: str) -> None:
    assert_refused(sent(server, "img2img", img2img(**IMG2IMG[name])))


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_refused(server: "Started", name: str) -> None:
    for path in ("txt2img", "options", "png-info"):
        assert_refused(sent(server, path, BODIES[name]))


@pytest.mark.parametrize("name", READ)
def test_a_bad_picture_is_refused(server: "Started", name: str) -> None:
    picture = base64.b64encode(hostile.PICTURES[name][0]()).decode()
    assert_refused(sent(server, "img2img", img2img(init_images=[picture])))
    assert_refused(sent(server, "img2img", img2img(mask=picture)))


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_picture_is_refused(server: "Started", name: str) -> None:
    assert_refused(sent(server, "img2img", img2img(init_images=[TEXTS[name]])))
    assert_refused(sent(server, "png-info", {"image": TEXTS[name]}))


def test_the_good_request_is_good(server: "Started") -> None:
    assert sent(server, "img2img", img2img()).status_code == 200


def test_a_picture_by_another_type_than_its_prefix_says_is_taken(server: "Started") -> None:
    text = base64.b64encode(GOOD).decode()
    wrapped = "data:image/jpeg;base64," + "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    assert sent(server, "img2img", img2img(init_images=[wrapped])).status_code == 200


def test_a_body_over_the_servers_budget_is_not_read(server: "Started") -> None:
    """The server in front of the routes refuses it, while it is read."""

    def pieces() -> Iterator[bytes]:
        yield b'{"init_images": ["'
        for _ in range(300):
            yield b"A" * 1_000_000

    try:
        answer = httpx.post(f"{server.url}/sdapi/v1/img2img", content=pieces(), headers=JSON, timeout=SECONDS)
    except httpx.TransportError:  # the server hung up while the client was still sending
        return
    assert answer.status_code == 413


def test_a_body_of_another_media_type_is_refused(server: "Started") -> None:
    """A web page elsewhere can send such a one without being asked."""
    body = json.dumps(SMALL)
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = httpx.post(
            f"{server.url}/sdapi/v1/txt2img", content=body, headers={"content-type": kind}, timeout=SECONDS
        )
        assert 400 <= answer.status_code < 500
