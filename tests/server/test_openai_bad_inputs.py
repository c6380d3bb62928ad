"""Bad inputs of OpenAI's images API: each a 4xx in bounded time, and the next job succeeds."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.server.conftest import Started

SECONDS = 30.0
"""For an answer; it takes well under one, on a machine that does nothing else."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def encoded(image: Image.Image, form: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    """A PNG of 8-bit RGBA with this header, whatever its data."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def frames(form: str) -> bytes:
    moving = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    return encoded(moving[0], form, save_all=True, append_images=moving[1:])


def text_bomb() -> bytes:
    texts = [chunk(b"zTXt", b"k%d\0\0" % index + zlib.compress(bytes(60 << 20), 9)) for index in range(3)]
    return png(64, 64, *texts, data=zlib.compress(bytes(64 * (64 * 4 + 1))))


GOOD = encoded(Image.new("RGB", (64, 64), "teal"))
OPEN = encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)))

IMAGES: Mapping[str, bytes] = {
    "nothing": b"",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "gif": frames("GIF"),
    "many pages": frames("TIFF"),
    "moving png": frames("PNG"),
    "moving webp": frames("WEBP"),
    "no pixels": png(0, 0),
    "no height": png(64, 0),
    "decompression bomb": png(60_000, 60_000, data=zlib.compress(bytes(1 << 20))),
    "text bomb": text_bomb(),
    "cut off": GOOD[: len(GOOD) // 2],
    "only a header": GOOD[:33],
    "a jpeg's first bytes": b"\xff\xd8\xff\xe0" + bytes(200),
    "a webp's first bytes": b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
}
MASKS: Mapping[str, bytes] = {
    "another size": encoded(Image.new("RGBA", (64, 63), (0, 0, 0, 0))),
    "without alpha": encoded(Image.new("RGB", (64, 64))),
    "a jpeg": encoded(Image.new("RGB", (64, 64)), "JPEG"),
    "nothing": b"",
    "cut off": OPEN[:60],
    "moving": frames("WEBP"),
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


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_is_refused(server: "Started", name: str) -> None:
    assert_refused(edit(server, IMAGES[name]))
    assert_a_good_job_succeeds(server)


@pytest.mark.parametrize("name", MASKS)
def test_a_bad_mask_is_refused(server: "Started", name: str) -> None:
    assert_refused(edit(server, GOOD, MASKS[name]))
    assert_a_good_job_succeeds(server)


def test_a_mask_that_lets_nothing_change_gives_the_picture_back(server: "Started") -> None:
    answer = edit(server, GOOD, encoded(Image.new("RGBA", (64, 64), "red")))
    made = Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))
    assert made.tobytes() == Image.open(io.BytesIO(GOOD)).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1)], ids=str)
def test_a_picture_of_an_extreme_shape_is_edited(server: "Started", size: tuple[int, int]) -> None:
    mask = encoded(Image.new("RGBA", size, (0, 0, 0, 0)))
    answer = edit(server, encoded(Image.new("RGB", size)), mask)
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
