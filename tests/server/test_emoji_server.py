"""A whole server with every plugin and the embedded model: over HTTP comes what the host itself makes."""

import base64
import hashlib
import io
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image, ImageDraw

from latentry import Host, Request

if TYPE_CHECKING:
    from tests.server.conftest import Started

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
APPLE = {"task": "txt2img", "prompt": "a red apple", "steps": 3, "seed": 7}
FILL = {"task": "inpaint", "prompt": "a blue ball", "steps": 3, "seed": 5}


@pytest.fixture
def client(server: "Started") -> httpx.Client:
    return server.client


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def inputs() -> dict[str, bytes]:
    """A picture, and a mask that is white in its middle."""
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).rectangle((20, 20, 44, 44), fill=255)
    return {"image": png(Image.new("RGB", (64, 64), (200, 30, 60))), "mask": png(mask)}


def done(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/v1/jobs", json=job, params={"wait": 100})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == "done", found["error"]
    return found


def test_a_picture_is_the_one_that_the_host_makes(client: httpx.Client, host: Host) -> None:
    job = done(client, {**APPLE, "batch": 2})
    made = host.run(Request.model_validate({**APPLE, "batch": 2}))
    assert [one["sha256"] for one in job["artifacts"]] == [
        hashlib.sha256(artifact.data).hexdigest() for artifact in made.artifacts
    ]
    assert [one["seed"] for one in job["artifacts"]] == [7, 8]
    assert job["applied"]["sampler"] == made.applied["sampler"]
    assert client.get(job["artifacts"][0]["url"]).content == made.artifacts[0].data


def test_inpainting_takes_its_mask_by_base64_and_by_blob(
    client: httpx.Client, host: Host, inputs: dict[str, bytes]
) -> None:
    (made,) = host.run(Request.model_validate({**FILL, "inputs": inputs})).artifacts
    plain = {name: base64.b64encode(data).decode() for name, data in inputs.items()}
    links = {name: f"data:image/png;base64,{text}" for name, text in plain.items()}
    kept = {name: {"blob": sent(client, data)} for name, data in inputs.items()}
    for given in (plain, links, kept):
        (artifact,) = done(client, {**FILL, "inputs": given})["artifacts"]
        assert artifact["sha256"] == hashlib.sha256(made.data).hexdigest()


def sent(client: httpx.Client, data: bytes) -> str:
    answer = client.post("/api/v1/blobs", content=data, headers={"Content-Type": "image/png"})
    blob: str = answer.json()["blob"]
    return blob


def test_a_running_job_shows_previews_and_stops_within_a_step(client: httpx.Client) -> None:
    slow = {**APPLE, "steps": 1000, "options": {"preview": {"preview_every": 1}}}
    job = client.post("/api/v1/jobs", json=slow).json()
    kinds: list[str] = []
    with client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as events:
        for line in events.iter_lines():
            kinds += [line.removeprefix("event: ")] if line.startswith("event: ") else []
            if kinds.count("preview") == 3:
                client.delete(f"/api/v1/jobs/{job['id']}")
                asked = time.monotonic()
                break
    ended = client.get(f"/api/v1/jobs/{job['id']}", params={"wait": 30}).json()
    assert ended["status"] == "cancelled"
    assert time.monotonic() - asked < 5
    assert "step" in kinds


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({}, "invalid_request"),
        ({"image": "not base64!", "mask": "AAAA"}, "invalid_input"),
        ({"image": "http://127.0.0.1/a.png", "mask": "AAAA"}, "invalid_input"),
        ({"image": {"blob": "f" * 64}, "mask": "AAAA"}, "invalid_input"),
        ({"image": {"blob": "../../etc/passwd"}, "mask": "AAAA"}, "invalid_request"),
        ({"image": 5, "mask": "AAAA"}, "invalid_input"),
        ({"picture": "AAAA"}, "unknown_name"),
    ],
)
def test_bad_inputs_are_refused_and_the_next_job_is_done(
    client: httpx.Client, inputs: dict[str, Any], kind: str
) -> None:
    answer = client.post("/api/v1/jobs", json={**FILL, "inputs": inputs})
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == f"urn:latentry:error:{kind}"
    done(client, {**APPLE, "steps": 1})


def test_what_is_no_picture_fails_as_the_user_s_mistake(client: httpx.Client) -> None:
    given = {name: base64.b64encode(b"no picture").decode() for name in ("image", "mask")}
    job = client.post("/api/v1/jobs", json={**FILL, "inputs": given}, params={"wait": 60}).json()
    assert (job["status"], job["error"]["type"]) == ("failed", "invalid_input")
