"""Bad inputs of OpenAI's images API: each a 4xx in bounded time, and the next job succeeds."""

import base64
import io
import json
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

from latentry_sdk.testing.hostile import PICTURES, saved, scene

if TYPE_CHECKING:
    from tests.server.conftest import Started

SECONDS = 30.0
"""For an answer; it takes well under one, on a machine that does nothing else."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def clear(size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A mask that is open everywhere."""
    return Image.new("RGBA", size, (0, 0, 0, 0))


GOOD = saved(scene(), "PNG")
OPEN = saved(clear(), "PNG")
READ = [name for name in PICTURES if name != "65 MiB"]  # the server does not read a body of that size
MASKS: Mapping[str, bytes] = {
    "another size": saved(clear((64, 63)), "PNG"),
    "without alpha": saved(scene(), "PNG"),
    "a jpeg": saved(scene(), "JPEG"),
    "nothing": b"",
    "cut off": OPEN[:60],
    "moving": PICTURES["an animated WebP"][0](),
}
TEXTS: Mapping[str, str] = {
    "a megabyte": "x" * 1_000_000,
    "brackets": "(" * 50_000 + "[" * 49_999,
    "alternations": "{a|b}" * 3_000,
    "control characters": "a red\r\napple\0\x1b[31m",
    "half a character": "a red apple \ud83d",
    "what ends a record": "Steps: 20, Sampler: Euler\nNegative prompt: x",
}
MODELS = (
    "../emoji",
    "/etc/passwd",
    "C:\\model",
    "\\\\host\\share",
    "emoji\0",
    "%2e%2e/emoji",
    "x" * 4000,
    "\u0435moji",
)


def edit(server: "Started", image: bytes, mask: bytes | None = None) -> httpx.Response:
    files = {"image": ("picture.png", image, "image/png")}
    if mask is not None:
        files["mask"] = ("mask.png", mask, "image/png")
    data = {"prompt": "a red apple", "steps": "2", "seed": "1"}
    return httpx.post(f"{server.url}/v1/images/edits", files=files, data=data, timeout=SECONDS)


def assert_refused(answer: httpx.Response) -> None:
    """A 400 whose message is one line."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"].splitlines()) == 1
    assert len(error["message"]) < 1000
    assert answer.headers["x-should-retry"] == "false"


def assert_a_good_job_succeeds(server: "Started") -> None:
    answer = edit(server, GOOD, OPEN)
    assert answer.status_code == 200, answer.text
    made = Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))
    assert np.asarray(made).shape == (64, 64, 3)


@pytest.fixture(autouse=True, scope="module")
def a_warm_worker(server: "Started") -> None:
    """So that the bound on time is for the answer, not for loading."""
    answer = server.client.post("/api/v1/jobs?wait=120", json={"task": "txt2img", "steps": 1})
    assert answer.json()["status"] == "done"


@pytest.mark.parametrize("name", READ)
def test_a_bad_image_is_refused(server: "Started", name: str) -> None:
    assert_refused(edit(server, PICTURES[name][0]()))
    assert_a_good_job_succeeds(server)


@pytest.mark.parametrize("name", MASKS)
def test_a_bad_mask_is_refused(server: "Started", name: str) -> None:
    assert_refused(edit(server, GOOD, MASKS[name]))
    assert_a_good_job_succeeds(server)


def test_a_mask_that_lets_nothing_change_gives_the_picture_back(server: "Started") -> None:
    answer = edit(server, GOOD, saved(Image.new("RGBA", (64, 64), "red"), "PNG"))
    made = Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))
    assert made.tobytes() == Image.open(io.BytesIO(GOOD)).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1)], ids=str)
def test_a_picture_of_an_extreme_shape_is_edited(server: "Started", size: tuple[int, int]) -> None:
    mask = saved(clear(size), "PNG")
    answer = edit(server, saved(scene(size=size), "PNG"), mask)
    assert (answer.status_code, answer.json()["size"]) == (200, "{}x{}".format(*size))


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_prompt_ends_in_a_picture_or_in_one_line(server: "Started", name: str) -> None:
    body = json.dumps({"prompt": TEXTS[name], "steps": 1}).encode()
    began = perf_counter()
    kind = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}/v1/images/generations", content=body, headers=kind, timeout=SECONDS)
    assert perf_counter() - began < SECONDS
    if answer.status_code == 200:
        with Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"]))) as made:
            made.load()
            assert made.text["parameters"]  # type: ignore[attr-defined]
    else:
        assert_refused(answer)
    assert_a_good_job_succeeds(server)


@pytest.mark.parametrize("model", MODELS, ids=lambda name: ascii(name)[:20])
def test_a_model_that_is_not_listed_is_not_found(server: "Started", model: str) -> None:
    answer = httpx.post(f"{server.url}/v1/images/generations", json={"prompt": "x", "model": model})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert httpx.get(f"{server.url}/v1/models/{quote(model, safe='')}").status_code == 404
