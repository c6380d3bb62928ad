"""The official client against a started server with the embedded model."""

import base64
import io
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from PIL import Image

from latentry import Host, Request
from latentry_emoji.evaluation import InpaintingTask, inpainting_tasks, score_inpainting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server.conftest import Started

APPLE = "a red apple on a blue background"
NAMES = ("rose", "pig face", "hamburger", "avocado", "lion face", "fox face", "penguin", "red apple")
"""What the model draws well in a mask."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def client(server: "Started") -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """The same jobs without a server."""
    with Host() as host:
        yield host


def decoded(reply: Any) -> list[Image.Image]:
    """The pictures of a reply."""
    return [opened(one.b64_json) for one in reply.data]


def opened(text: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    picture.load()
    return picture


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def same(picture: Image.Image, other: Image.Image) -> bool:
    return bool(np.array_equal(np.asarray(picture), np.asarray(other)))


def erased(mask: Image.Image) -> Image.Image:
    """A picture that is transparent where `mask` is white, as an eraser leaves it."""
    picture = Image.new("RGBA", mask.size, (90, 120, 30, 255))
    picture.putalpha(mask.point(lambda grey: 255 - grey))
    return picture


def test_four_pictures_are_those_of_their_seeds(client: OpenAI, host: Host) -> None:
    reply = client.images.generate(prompt=APPLE, n=4, quality="low", extra_body={"seed": 7})
    request = Request(task="txt2img", prompt=APPLE, steps=10, seed=7, batch=4)
    pictures, expected = decoded(reply), [made.open() for made in host.run(request).artifacts]
    assert len(pictures) == 4
    assert all(same(*pair) for pair in zip(pictures, expected, strict=True))
    (third,) = decoded(client.images.generate(prompt=APPLE, quality="low", extra_body={"seed": 9}))
    assert same(third, pictures[2])


def test_own_parameters_reach_the_job(client: OpenAI, host: Host) -> None:
    own: Mapping[str, Any] = {
        "seed": 3,
        "steps": 6,
        "guidance": 3,
        "negative_prompt": "green",
        "sampler": "heun",
        "scheduler": "karras",
        "options": {"karras": {"rho": 5}},
    }
    (made,) = decoded(client.images.generate(prompt=APPLE, model="emoji", size="64x96", extra_body=own))
    named = {("negative" if name == "negative_prompt" else name): value for name, value in own.items()}
    request = Request(task="txt2img", prompt=APPLE, model="emoji", width=64, height=96, **named)
    assert same(made, host.run(request).artifacts[0].open())


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_pictures_are_files_of_the_format_that_was_asked_for(client: OpenAI, form: Any) -> None:
    reply = client.images.generate(prompt=APPLE, size="96x64", output_format=form, extra_body={"steps": 2})
    (picture,) = decoded(reply)
    assert (picture.format, picture.size) == (form.upper(), (96, 64))
    assert (reply.output_format, reply.size) == (form, "96x64")


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_compression_makes_files_smaller(client: OpenAI, form: Any) -> None:
    def size(compression: int) -> int:
        own = {"steps": 2, "seed": 1}
        reply = client.images.generate(
            prompt=APPLE, output_format=form, output_compression=compression, extra_body=own
        )
        return len((reply.data or [])[0].b64_json or "")

    assert size(0) < size(60) < size(100)


def test_an_edit_paints_where_the_mask_is_transparent_and_nowhere_else(client: OpenAI) -> None:
    tasks = inpainting_tasks(len(NAMES), names=NAMES, photo_share=0, seed=6)
    pictures = [edited(client, task) for task in tasks]
    for picture, task in zip(pictures, tasks, strict=True):
        outside = np.asarray(task.mask) == 0
        assert np.array_equal(np.asarray(picture)[outside], np.asarray(task.known)[outside])
    scores = score_inpainting(pictures, tasks)
    assert scores["recall_1"] >= 3 / 4, scores


def edited(client: OpenAI, task: InpaintingTask) -> Image.Image:
    own = {"steps": 12, "guidance": 4, "seed": 1}
    image, mask = png(task.known), png(erased(task.mask))
    reply = client.images.edit(image=image, mask=mask, prompt=task.caption, extra_body=own)
    return decoded(reply)[0]


def test_without_a_mask_the_whole_picture_is_changed(client: OpenAI, host: Host) -> None:
    known = Image.new("RGB", (64, 64), "teal")
    own = {"steps": 8, "seed": 2, "options": {"img2img": {"strength": 0.5}}}
    (made,) = decoded(client.images.edit(image=png(known), prompt=APPLE, n=1, extra_body=own))
    request = Request(task="img2img", prompt=APPLE, inputs={"image": known}, **own)
    assert same(made, host.run(request).artifacts[0].open())


def test_a_stream_shows_the_picture_as_it_comes(client: OpenAI) -> None:
    given: dict[str, Any] = {"prompt": APPLE, "size": "64x64", "extra_body": {"seed": 7}}
    *partial, last = client.images.generate(**given, stream=True, partial_images=3)
    assert [one.type for one in (*partial, last)] == [
        *["image_generation.partial_image"] * 3,
        "image_generation.completed",
    ]
    assert [one.partial_image_index for one in partial] == [0, 1, 2]
    assert {opened(one.b64_json).size for one in partial} == {(64, 64)}
    (whole,) = decoded(client.images.generate(**given))
    assert same(opened(last.b64_json), whole)
    away = [distance(opened(one.b64_json), whole) for one in partial]
    assert away[2] < away[0]


def distance(picture: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' values, of 255."""
    first, second = (np.asarray(one.convert("RGB"), float) for one in (picture, other))
    return float(np.abs(first - second).mean())


def test_an_edit_is_streamed_too(client: OpenAI) -> None:
    image, mask = png(Image.new("RGB", (64, 64), "teal")), png(erased(Image.new("L", (64, 64), 255)))
    partial, last = client.images.edit(
        image=image, mask=mask, prompt=APPLE, stream=True, partial_images=1, quality="low"
    )
    assert (partial.type, last.type) == ("image_edit.partial_image", "image_edit.completed")


def test_the_models_are_listed_and_found(client: OpenAI) -> None:
    assert "emoji" in [model.id for model in client.models.list()]
    assert client.models.retrieve("emoji").owned_by == "latentry"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("dall-e-3")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"model": "dall-e-3"}, openai.NotFoundError),
        ({"model": "../emoji"}, openai.NotFoundError),
        ({"size": "65x64"}, openai.BadRequestError),
        ({"size": "16384x16384"}, openai.BadRequestError),
        ({"n": 10, "size": "4096x4096"}, openai.BadRequestError),
        ({"background": "transparent"}, openai.BadRequestError),
        ({"response_format": "url"}, openai.BadRequestError),
        ({"extra_body": {"sampler": "none"}}, openai.BadRequestError),
        ({"extra_body": {"steps": 10**6}}, openai.BadRequestError),
        ({"extra_body": {"guidance": -100}}, openai.BadRequestError),
        ({"extra_body": {"options": {"none": {}}}}, openai.BadRequestError),
        ({"extra_body": {"place": {"*": "cpu"}}}, openai.BadRequestError),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_before_it_is_queued(
    client: OpenAI, server: "Started", fields: Any, kind: type[openai.APIStatusError]
) -> None:
    before = len(server.jobs())
    with pytest.raises(kind):
        client.images.generate(prompt=APPLE, **fields)
    assert len(server.jobs()) == before


def test_a_job_that_fails_is_run_once(client: OpenAI, server: "Started") -> None:
    before = {job["id"] for job in server.jobs()}
    opaque = png(Image.new("RGB", (64, 64)))
    with pytest.raises(openai.BadRequestError, match="no transparency") as caught:
        client.images.edit(image=opaque, mask=opaque, prompt=APPLE)
    assert caught.value.code == "invalid_input"
    (failed,) = [job for job in server.jobs() if job["id"] not in before]
    assert failed["status"] == "failed"


def test_a_client_that_leaves_stops_its_job(server: "Started") -> None:
    impatient = OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=1, max_retries=0)
    with impatient, pytest.raises(openai.APITimeoutError):
        impatient.images.generate(prompt=APPLE, extra_body={"steps": 1000})
    newest = server.jobs()[0]["id"]
    assert server.get(f"/jobs/{newest}", wait=20)["status"] == "cancelled"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not tell")
def test_the_host_has_loaded_no_tensor_library_and_no_pillow(client: OpenAI, server: "Started") -> None:
    client.images.generate(prompt=APPLE, extra_body={"steps": 1})
    host = server.server.process.pid
    assert loaded_by(host) == set()
    (worker,) = children(host)
    assert loaded_by(int(worker)) == {"torch", "numpy", "PIL"}


def children(parent: int) -> list[str]:
    """The processes that any thread of a process has started."""
    files = Path(f"/proc/{parent}/task").glob("*/children")
    return [child for file in files for child in file.read_text().split()]


def loaded_by(process: int) -> set[str]:
    """Which of these libraries have code in the memory of a process."""
    maps = Path(f"/proc/{process}/maps").read_text(encoding="utf-8")
    return {name for name in ("torch", "numpy", "PIL") if f"/{name}/" in maps}


def test_a_full_queue_is_a_rate_limit(serve: "Callable[..., Started]") -> None:
    server = serve(LATENTRY_QUEUE_LIMIT="1")
    slow = {"task": "txt2img", "prompt": APPLE, "steps": 1000}
    first = server.client.post("/api/v1/jobs", json=slow).raise_for_status().json()["id"]
    while server.get(f"/jobs/{first}")["status"] == "queued":
        time.sleep(0.05)
    server.client.post("/api/v1/jobs", json=slow).raise_for_status()
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(prompt=APPLE)
        assert float(caught.value.response.headers["retry-after"]) > 0
        assert "x-should-retry" not in caught.value.response.headers


def test_what_the_server_itself_refuses_has_the_clients_form(server: "Started") -> None:
    url, kind = f"{server.url}/v1/images/generations", {"content-type": "application/json"}
    for answer, status, code in (
        (httpx.post(url, content=b"[" * 1000, headers=kind), 400, "body_too_complex"),
        (httpx.post(url, content=bytes(70_000_000), headers=kind), 413, "body_too_large"),
        (httpx.post(url, json={}, headers={"origin": "https://elsewhere.example"}), 403, "foreign_origin"),
        (httpx.get(url), 405, "method_not_allowed"),
        (httpx.get(f"{server.url}/v1/none"), 404, "not_found"),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert set(error) == {"message", "type", "param", "code"}


def test_a_token_is_the_clients_key(tmp_path: Path, serve: "Callable[..., Started]") -> None:
    tokens = tmp_path / "tokens.json"
    command = [sys.executable, "-m", "latentry", "token", "add", "one", "--file", str(tokens)]
    key = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    server = serve("--token-file", str(tokens), token=key)
    base = f"{server.url}/v1"
    with OpenAI(base_url=base, api_key=key) as client:
        assert "emoji" in [model.id for model in client.models.list()]
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt=APPLE, size="65x64")
    with OpenAI(base_url=base, api_key="sk-none") as client:
        for ask in (client.models.list, lambda: client.images.generate(prompt=APPLE)):
            with pytest.raises(openai.AuthenticationError) as caught:
                ask()
            assert (caught.value.type, caught.value.code) == ("authentication_error", "invalid_api_key")
