"""Bad inputs of the native API: each is an error in bounds of time and memory, and the next job succeeds.

What comes over the network and from browsers is in test_hostile_clients.py, what happens to disks and
processes in the tests of the store, the workers and of kills.
"""

import base64
import io
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from latentry_emoji import FOLDER
from latentry_sdk.testing import hostile

if TYPE_CHECKING:
    from tests.server.conftest import Started

SECONDS = 30.0
"""For an answer; it takes well under one, on a machine that does nothing else."""
HOST_MEGABYTES, WORKER_MEGABYTES = 600, 2000
"""What a process may have held at its worst: the host reads bodies, the worker has torch and a model."""
LONGEST_LINE = 1000
FOUND_WHILE_READING = ("invalid_input", "invalid_model", "unknown_name")
"""Pictures, weights and the file of styles are read by the job."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GOOD: Mapping[str, Any] = {"task": "txt2img", "prompt": "a red apple", "steps": 1, "seed": 1, "guidance": 1}
NUMBERS: Mapping[str, tuple[Any, ...]] = {
    "seed": (nan, inf, 1e308, 2.5, True, "many", -2, 2**64),
    "steps": (nan, inf, 2.5, True, 0, -1, 10**6),
    "width": (nan, 2.5, True, 0, 7, -64, 63, 10**6),
    "height": (-inf, 0, 7, 10**6),
    "batch": (nan, 2.5, 0, -1, 65, 10**6),
    "guidance": (nan, inf, 1e308, -100, True, "much"),
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "a strength of 0": {"inpaint": {"strength": 0}},
    "a strength of 1.0001": {"inpaint": {"strength": 1.0001}},
    "a blur of 10,000": {"inpaint": {"mask_blur": 10_000}},
    "a padding past all pictures": {"inpaint": {"full_res": True, "padding": 10**6}},
}
BASE64: Mapping[str, Any] = {
    "bad padding": "AAA=A",
    "no base64": "a picture",
    "nothing": "",
    "a prefix alone": "data:image/png;base64,",
    "a page": "data:text/html;base64,PGI+",
    "a list of 10,000": ["AAAA"] * 10_000,
    "a number": 7,
    "300 MB": "A" * 300_000_000,
}
MODELS: Mapping[str, tuple[str, bytes]] = {
    "a pickle": ("evil.ckpt", b"\x80\x04cos\nsystem\n."),
    "a pickle named safetensors": ("evil.safetensors", b"\x80\x04cos\nsystem\n."),
    "a header of an exabyte": ("huge.safetensors", (1 << 60).to_bytes(8, "little") + b"{"),
    "a deep header": ("deep.safetensors", (500_000).to_bytes(8, "little") + b'{"a":' * 100_000),
    "no byte": ("empty.safetensors", b""),
}


@pytest.fixture(scope="module")
def picture() -> str:
    """A good picture, in base64."""
    return base64.b64encode(hostile.saved(hostile.scene(), "PNG")).decode()


@pytest.fixture(autouse=True)
def the_next_job_succeeds_in_bounds(server: "Started") -> Iterator[None]:
    yield
    ended = job(server, GOOD)
    assert ended["status"] == "done", ended
    found = server.client.get(f"/api/v1/artifacts/{ended['artifacts'][0]['id']}").content
    assert Image.open(io.BytesIO(found)).size == (64, 64)
    host = server.server.process.pid
    assert peak(host) < HOST_MEGABYTES * 1e6
    assert all(peak(worker) < WORKER_MEGABYTES * 1e6 for worker in children(host))


def peak(process: int) -> int:
    """The most memory that a process has held, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    files = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def posted(server: "Started", body: Mapping[str, Any]) -> httpx.Response:
    """The answer to a post, which may hold NaN and half characters, when the job has ended."""
    began = time.monotonic()
    answer = server.client.post(
        "/api/v1/jobs", content=json.dumps(body), headers={"content-type": "application/json"},
        params={"wait": SECONDS},
    )  # fmt: skip
    assert time.monotonic() - began < SECONDS
    return answer


def job(server: "Started", body: Mapping[str, Any]) -> dict[str, Any]:
    """The job, ended."""
    found: dict[str, Any] = posted(server, body).raise_for_status().json()
    return found


def refusal(server: "Started", **fields: Any) -> str:
    """What is said to a job that cannot be done, before it is taken or when its inputs have been read."""
    answer = posted(server, {**GOOD, **fields})
    said = answer.json()
    if answer.status_code == 200:
        assert said["status"] == "failed", said
        assert said["error"]["type"].rpartition(":")[2] in FOUND_WHILE_READING, said
        message: str = said["error"]["message"]
    else:
        assert answer.status_code in (400, 413, 422), said
        message = said["detail"]
    assert len(message.splitlines()) == 1
    assert len(message) < LONGEST_LINE
    return message


def inpainting(picture: str, **inputs: Any) -> dict[str, Any]:
    """The fields of an inpainting whose inputs are good but for those given."""
    mask = base64.b64encode(hostile.MASKS["one pixel"]()).decode()
    return {"task": "inpaint", "inputs": {"image": picture, "mask": mask, **inputs}}


@pytest.mark.parametrize("name", hostile.PICTURES)
def test_a_bad_picture_is_refused(server: "Started", picture: str, name: str) -> None:
    bad = base64.b64encode(hostile.PICTURES[name][0]()).decode()
    for place in ("image", "mask"):
        refusal(server, **inpainting(picture, **{place: bad}))


@pytest.mark.parametrize("name", hostile.UNUSUAL)
def test_an_unusual_picture_is_inpainted(server: "Started", picture: str, name: str) -> None:
    image = base64.b64encode(hostile.UNUSUAL[name]()).decode()
    assert job(server, {**GOOD, **inpainting(picture, image=image)})["status"] == "done"


@pytest.mark.parametrize("name", hostile.MASKS)
def test_an_unusual_mask_is_taken(server: "Started", picture: str, name: str) -> None:
    mask = base64.b64encode(hostile.MASKS[name]()).decode()
    assert job(server, {**GOOD, **inpainting(picture, mask=mask)})["status"] == "done"


def test_a_mask_of_another_size_is_refused(server: "Started", picture: str) -> None:
    mask = base64.b64encode(hostile.saved(hostile.scene("L", (64, 72)), "PNG")).decode()
    assert "64 × 72" in refusal(server, **inpainting(picture, mask=mask))


@pytest.mark.parametrize("name", BASE64)
def test_what_is_no_base64_of_a_picture_is_refused(server: "Started", picture: str, name: str) -> None:
    refusal(server, **inpainting(picture, image=BASE64[name]))


def test_base64_in_lines_and_with_another_prefix_is_taken(server: "Started", picture: str) -> None:
    lines = "\r\n".join(picture[at : at + 76] for at in range(0, len(picture), 76))
    for text in (lines, f"data:image/jpeg;base64,{picture}"):
        assert job(server, {**GOOD, **inpainting(picture, image=text)})["status"] == "done"


@pytest.mark.parametrize("field", NUMBERS)
def test_a_bad_number_is_refused(server: "Started", field: str) -> None:
    for value in NUMBERS[field]:
        refusal(server, **{field: value})


def test_the_product_of_good_numbers_is_bounded(server: "Started") -> None:
    assert "megapixels" in refusal(server, batch=64, width=1024, height=1024)
    refusal(server, batch=64, width=960, height=960, steps=1000)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_bad_option_is_refused(server: "Started", picture: str, name: str) -> None:
    assert "inpaint" in refusal(server, **inpainting(picture), options=OPTIONS[name])


@pytest.mark.parametrize("name", hostile.NAMES, ids=ascii)
def test_a_bad_name_is_refused_in_every_place(server: "Started", name: str) -> None:
    for field in ("model", "sampler", "scheduler", "task", "format"):
        refusal(server, **{field: name})
    refusal(server, place={"unet": name})
    refusal(server, options={"prompt": {"styles": [name]}})


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_model_is_refused_by_its_name(server: "Started", name: str) -> None:
    file, content = MODELS[name]
    (server.models / file).write_bytes(content)
    for given in (file, file.rsplit(".")[0], str(server.models / file)):
        refusal(server, model=given)


def test_weights_of_nan_give_an_error_and_no_picture(server: "Started") -> None:
    """Half-precision NaN everywhere in the VAE of a copy of the embedded model."""
    folder = server.models / "nan"
    shutil.copytree(FOLDER, folder)
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    weights.chmod(0o644)
    raw = weights.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    weights.write_bytes(raw[:start] + b"\x00\x7e" * ((len(raw) - start) // 2))
    assert "NaN" in refusal(server, model="nan")


def test_a_link_out_of_the_models_is_not_followed_by_name(server: "Started", tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"")
    (server.models / "link").symlink_to(tmp_path)
    refusal(server, model="link/secret")
    refusal(server, model="link/secret.safetensors")


@pytest.mark.parametrize("name", hostile.TEXTS)
def test_strange_text_makes_a_picture_with_clean_metadata(server: "Started", name: str) -> None:
    ended = job(server, {**GOOD, "prompt": hostile.TEXTS[name]})
    assert ended["status"] == "done", ended
    found = server.client.get(f"/api/v1/artifacts/{ended['artifacts'][0]['id']}").content
    assert not set("\0\r\x07\x1b") & set(Image.open(io.BytesIO(found)).info["parameters"])


@pytest.mark.parametrize("text", ["x" * 1_000_000, "a \ud800 b", None, 7], ids=["1 MB", "half", "null", "7"])
def test_what_is_no_text_is_refused(server: "Started", text: Any) -> None:
    for field in ("prompt", "negative"):
        refusal(server, **{field: text})
