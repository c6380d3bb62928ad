"""The client library `webuiapi` against a started server with the embedded model."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from webuiapi import HiResUpscaler, WebUIApi

from latentry import Host, Request

if TYPE_CHECKING:
    from tests.server.conftest import Started

APPLE = "a red apple on a blue background"
QUICK = {"prompt": APPLE, "steps": 3, "seed": 7, "width": 64, "height": 64, "sampler_name": "Euler"}
SAME: dict[str, Any] = {"prompt": APPLE, "steps": 3, "seed": 7, "width": 64, "height": 64, "sampler": "euler"}
SAME["guidance"] = 7.0
PATIENCE = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def api(server: "Started") -> WebUIApi:
    return client_of(server)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """The same jobs without a server."""
    with Host() as host:
        yield host


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Noise, so that every pixel differs from what a model would make."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def client_of(server: "Started", name: str | None = None, token: str | None = None) -> WebUIApi:
    where = urlsplit(server.url)
    return WebUIApi(host=where.hostname, port=where.port, username=name, password=token)


def pixels(picture: Image.Image) -> "np.ndarray[Any, Any]":
    return np.asarray(picture.convert("RGB"))


def same(picture: Image.Image, host: Host, **fields: Any) -> bool:
    """Whether a host makes the same pixels of the translated request."""
    made = host.run(Request(**{**SAME, **fields})).artifacts[0].open()
    return bool(np.array_equal(pixels(picture), pixels(made)))


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


class Background(threading.Thread):
    """A long call that goes on beside the test."""

    def __init__(self, api: WebUIApi, **fields: Any) -> None:
        super().__init__(daemon=True)
        self._api, self._fields = api, {**QUICK, "steps": 1000, **fields}
        self.result: Any = None
        self.start()

    def run(self) -> None:
        self.result = self._api.txt2img(**self._fields)

    def ended(self) -> Any:
        self.join(PATIENCE)
        assert self.result is not None, "the call did not end"
        return self.result


def test_txt2img_makes_the_hosts_picture(api: WebUIApi, host: Host) -> None:
    result = api.txt2img(negative_prompt="green", eta=0, **QUICK)
    assert same(result.image, host, task="txt2img", negative="green")
    assert result.info["all_seeds"] == [7]
    assert result.info["infotexts"] == [result.image.text["parameters"]]
    assert result.parameters["cfg_scale"] == 7


def test_a_fused_name_names_sampler_and_schedule(api: WebUIApi, host: Host) -> None:
    result = api.txt2img(**{**QUICK, "sampler_name": "DPM++ 2M Karras"})
    assert same(result.image, host, task="txt2img", sampler="dpmpp_2m", scheduler="karras")


def test_what_the_client_leaves_out_is_accepted(api: WebUIApi, host: Host) -> None:
    result = api.txt2img(prompt=APPLE, steps=3, seed=7, width=64, height=64)
    options = {"euler_ancestral": {"eta": 1.0}}
    assert same(result.image, host, task="txt2img", sampler="euler_ancestral", options=options)


def test_batches_and_iterations_count_seeds(api: WebUIApi, host: Host) -> None:
    result = api.txt2img(batch_size=2, n_iter=2, **QUICK)
    assert result.info["all_seeds"] == [7, 8, 9, 10]
    assert [same(image, host, task="txt2img", seed=7 + i) for i, image in enumerate(result.images)] == [
        True
    ] * 4


def test_a_second_pass_is_the_task_hires(api: WebUIApi, host: Host) -> None:
    again = {"enable_hr": True, "hr_scale": 1.5, "hr_second_pass_steps": 2, "denoising_strength": 0.6}
    result = api.txt2img(hr_upscaler=HiResUpscaler.LatentNearestExact, **again, **QUICK)
    hires = {"scale": 1.5, "steps": 2, "exact_steps": True, "strength": 0.6}
    options = {"hires": {**hires, "upscaler": "latent_nearest_exact"}}
    assert same(result.image, host, task="hires", options=options)
    assert result.image.size == (96, 96)


def test_img2img_makes_the_hosts_picture(api: WebUIApi, host: Host, photo: Image.Image) -> None:
    result = api.img2img(images=[photo], denoising_strength=0.7, **QUICK)
    options = {"img2img": {"strength": 0.7}}
    assert same(result.image, host, task="img2img", inputs={"image": photo}, options=options)


@pytest.mark.parametrize("whole", [True, False])
def test_inpainting_by_a_grey_mask_leaves_the_rest_as_it_was(
    api: WebUIApi, host: Host, photo: Image.Image, whole: bool
) -> None:
    mask = Image.new("L", photo.size, 60)
    mask.paste(250, (20, 20, 44, 44))
    result = api.img2img(
        images=[photo],
        mask_image=mask,
        mask_blur=2,
        denoising_strength=1,
        inpaint_full_res=not whole,
        **QUICK,
    )
    after, before, inside = pixels(result.image), pixels(photo), np.zeros((64, 64), bool)
    inside[15:49, 15:49] = True  # a blur of 2 reaches 5 pixels
    assert (after[~inside] == before[~inside]).all()
    assert (after[22:42, 22:42] != before[22:42, 22:42]).any(axis=-1).mean() > 0.9
    frame = {} if whole else {"full_res": True, "padding": 0}
    inpaint = {"strength": 1, "content": "fill", "binarise": True, "mask_blur": 2, **frame}
    inputs = {"image": photo, "mask": mask}
    assert same(result.image, host, task="inpaint", inputs=inputs, options={"inpaint": inpaint})


def test_progress_grows_until_an_interrupt_ends_the_call(api: WebUIApi, server: "Started") -> None:
    call = Background(client_of(server))
    shown = until(lambda: (now := api.get_progress())["progress"] > 0 and now)
    assert shown["progress"] < 1
    assert len(shown["current_image"]) > 100
    assert (shown["state"]["job"], shown["state"]["sampling_steps"]) == ("txt2img", 1000)
    later = until(lambda: (now := api.get_progress())["progress"] > shown["progress"] and now)
    assert later["state"]["sampling_step"] > shown["state"]["sampling_step"]
    assert api.interrupt() == {}
    assert call.ended().images == []
    api.util_wait_for_ready(0.1)
    (job,) = server.jobs(status="cancelled")
    assert job["request"]["steps"] == 1000


def test_an_interrupt_leaves_other_callers_jobs_alone(
    serve: Callable[..., "Started"], tmp_path: Path, host: Host
) -> None:
    tokens = tmp_path / "tokens.json"
    keys = {name: added(tokens, name) for name in ("ann", "bob")}
    server = serve("--token-file", str(tokens), token=keys["ann"])
    ann, bob = (client_of(server, name, keys[name]) for name in ("ann", "bob"))
    call = Background(ann, steps=8)
    until(lambda: ann.get_progress()["state"]["job_count"])
    assert bob.get_progress()["state"]["job_count"] == 0
    assert (bob.interrupt(), bob.skip()) == ({}, {})
    assert same(call.ended().image, host, task="txt2img", steps=8)
    wrong = httpx.get(f"{server.url}/sdapi/v1/options", auth=("ann", "guess"))
    assert wrong.status_code == 401


def added(tokens: Path, name: str) -> str:
    """A new token of the file."""
    command = [sys.executable, "-m", "latentry", "token", "add", name, "--file", str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def test_lists_fill_the_clients_menus(api: WebUIApi) -> None:
    assert {"Euler a", "DPM++ 2M", "DDIM"} <= set(api.util_get_sampler_names())
    assert {"automatic", "karras"} <= set(api.util_get_scheduler_names())
    assert "emoji" in api.util_get_model_names()
    assert {"Latent", "Latent (bicubic)"} <= {mode["name"] for mode in api.get_latent_upscale_modes()}
    assert {"None", "Lanczos"} <= {one["name"] for one in api.get_upscalers()}
    assert api.get_scripts() == {"txt2img": [], "img2img": []}
    assert (api.has_controlnet, api.has_adetailer) == (False, False)
    assert api.get_memory()["ram"]["total"] > 0
    assert api.get_cmd_flags()["api"] is True
    assert api.get_embeddings()["loaded"] == {}
    empty = (api.get_sd_vae, api.get_loras, api.get_hypernetworks, api.get_face_restorers)
    assert [each() for each in (*empty, api.get_realesrgan_models, api.get_prompt_styles)] == [[]] * 6
    assert api.refresh_checkpoints() == {}
    assert (api.controlnet_version(), api.controlnet_model_list()) == (0, [])


def test_a_model_is_chosen_for_the_callers_next_calls(api: WebUIApi, server: "Started") -> None:
    for name in ("toy", "emoji"):
        api.util_set_model(name)
        assert api.util_get_current_model() == name
    result = api.txt2img(**QUICK)
    assert result.info["sd_model_name"] == "emoji"
    assert server.jobs()[0]["request"]["model"] == "emoji"


def test_the_record_of_a_picture_comes_back(api: WebUIApi) -> None:
    picture = api.txt2img(**QUICK).image
    found = api.png_info(picture)
    assert found.info == picture.text["parameters"]
    assert found.parameters["Seed"] == "7"
    assert found.parameters["Prompt"] == APPLE


@pytest.mark.parametrize(
    "call",
    [
        lambda api, photo: api.extra_single_image(photo),
        lambda api, photo: api.extra_batch_images([photo]),
        lambda api, photo: api.interrogate(photo),
    ],
)
def test_what_no_plugin_does_is_an_error_to_the_client(
    api: WebUIApi, photo: Image.Image, call: Callable[..., Any]
) -> None:
    with pytest.raises(RuntimeError, match=r"422.*no plugin that is installed"):
        call(api, photo)


def test_open_webui_sends_all_settings_back_with_another_model(server: "Started") -> None:
    """Its address for pictures ends in a slash, and it sends a picture's fields alone."""
    options = httpx.get(f"{server.url}/sdapi/v1/options").json()
    titles = [model["title"] for model in httpx.get(f"{server.url}/sdapi/v1/sd-models").json()]
    for title in ("toy", "emoji"):
        assert title in titles
        changed = httpx.post(f"{server.url}/sdapi/v1/options", json={**options, "sd_model_checkpoint": title})
        assert changed.status_code == 200
        assert httpx.get(f"{server.url}/sdapi/v1/options").json() == {**options, "sd_model_checkpoint": title}
    asked = {"prompt": APPLE, "batch_size": 1, "width": 64, "height": 64, "steps": 2}
    address = f"{server.url}/sdapi/v1/txt2img/"
    answer = httpx.post(address, json=asked, follow_redirects=True, timeout=PATIENCE)
    assert len(answer.json()["images"]) == 1


def test_sillytavern_interrupts_when_its_browser_goes(server: "Started") -> None:
    """It sends its own settings along, gives up its connection, and then asks for the interrupt."""
    asked = {
        **QUICK,
        "steps": 1000,
        "scheduler": "Automatic",
        "restore_faces": False,
        "enable_hr": False,
        "hr_upscaler": "Latent",
        "hr_scale": 2,
        "hr_additional_modules": [],
        "denoising_strength": 0.7,
        "hr_second_pass_steps": 0,
        "override_settings": {"CLIP_stop_at_last_layers": 1},
        "override_settings_restore_afterwards": True,
        "clip_skip": 1,
        "save_images": True,
        "send_images": True,
        "do_not_save_grid": False,
        "do_not_save_samples": False,
        "url": server.url,
        "auth": "name:secret",
    }
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/sdapi/v1/txt2img", json=asked, timeout=3)
    (job,) = until(lambda: [job for job in server.jobs() if job["status"] in ("queued", "running")])
    assert httpx.post(f"{server.url}/sdapi/v1/interrupt").json() == {}
    ended = until(lambda: (now := server.get(f"/jobs/{job['id']}"))["status"] == "cancelled" and now)
    assert "secret" not in json.dumps(ended)
    assert httpx.get(f"{server.url}/queue/status").status_code == 200
