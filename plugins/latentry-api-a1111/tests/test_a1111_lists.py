"""The lists: whole, in AUTOMATIC1111's words, and without a path of this machine."""

import base64
import io
import json
from dataclasses import replace

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentry_api_a1111 import listing

GETS = [
    "options",
    "cmd-flags",
    "progress",
    "samplers",
    "schedulers",
    "sd-vae",
    "upscalers",
    "latent-upscale-modes",
    "loras",
    "sd-models",
    "hypernetworks",
    "face-restorers",
    "realesrgan-models",
    "prompt-styles",
    "scripts",
    "script-info",
    "embeddings",
    "memory",
]
OTHERS = ["/controlnet/version", "/controlnet/model_list", "/controlnet/module_list", "/queue/status"]
POSTS = ["refresh-checkpoints", "refresh-loras", "refresh-vae", "reload-checkpoint", "interrupt", "skip"]


def listed(client, name):
    answer = client.get(f"/sdapi/v1/{name}")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("path", [*(f"/sdapi/v1/{name}" for name in GETS), *OTHERS])
def test_every_get_is_answered_with_json_and_names_no_folder(client, host, path):
    answer = client.get(path)
    assert answer.status_code == 200
    text = json.dumps(answer.json())
    folders = [str(model.path.parent) for model in host.models()]
    assert [folder for folder in folders if folder in text] == []


@pytest.mark.parametrize("name", POSTS)
def test_posts_without_a_body_are_answered_with_json(client, name):
    answer = client.post(f"/sdapi/v1/{name}")
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    "path",
    [
        "/sdapi/v1/interrogate",
        "/sdapi/v1/extra-single-image",
        "/sdapi/v1/extra-batch-images",
        "/sdapi/v1/unload-checkpoint",
        "/controlnet/detect",
    ],
)
def test_what_no_plugin_does_is_said_to_be_missing(client, path):
    answer = client.post(path, json={"image": "x"})
    assert (answer.status_code, answer.json()["error"]) == (422, "NotHere")


def test_every_sampler_of_the_list_is_understood(client, host):
    samplers = listed(client, "samplers")
    assert len(samplers) == len(host.registry.samplers)
    for sampler in samplers:
        assert sampler.keys() == {"name", "aliases", "options"}
        specs = {host.registry.samplers.find(name) for name in (sampler["name"], *sampler["aliases"])}
        assert len(specs) == 1
    names = {sampler["name"] for sampler in samplers}
    assert {"Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "DDIM", "UniPC", "LMS", "Heun"} <= names


def test_every_scheduler_of_the_list_is_understood(client, host):
    automatic, *schedulers = listed(client, "schedulers")
    assert automatic["label"] == "Automatic"
    for scheduler in schedulers:
        assert scheduler.keys() == {"name", "label", "aliases", "default_rho", "need_inner_model"}
        assert host.registry.schedulers.find(scheduler["label"]).name == scheduler["name"]
    assert {one["name"]: one["default_rho"] for one in schedulers}["karras"] == 7


def test_models_have_the_keys_that_clients_read(client):
    models = {model["title"]: model for model in listed(client, "sd-models")}
    keys = {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert models["emoji"].keys() == keys
    assert models["emoji"]["filename"] == "emoji64"


def test_every_way_to_enlarge_is_understood_by_the_second_pass(client, host):
    options = host.registry.tasks["hires"].options
    modes, upscalers = listed(client, "latent-upscale-modes"), listed(client, "upscalers")
    assert {"name": "Latent (bicubic antialiased)"} in modes
    assert {"name": "Latent (nearest-exact)"} in modes
    assert upscalers[0]["name"] == "None"
    assert upscalers[1].keys() == {"name", "model_name", "model_path", "model_url", "scale"}
    names = [one["name"] for one in (*modes, *upscalers[1:])]
    assert len({options(upscaler=name).upscaler for name in names}) == len(names) == 10


def test_styles_are_those_of_the_data_folder(host, tmp_path):
    (tmp_path / "styles.csv").write_text("name,prompt,negative_prompt\nphoto,photo of {prompt},blurry\n")

    class Elsewhere:
        registry, config = host.registry, host.config.model_copy(update={"data_dir": tmp_path})

    wanted = [{"name": "photo", "prompt": "photo of {prompt}", "negative_prompt": "blurry"}]
    assert listing.prompt_styles(Elsewhere) == wanted


def test_memory_is_told_where_a_device_tells_it(client, host):
    memory = listed(client, "memory")
    assert memory["ram"]["total"] == host.devices()["cpu"].memory.total
    assert memory["ram"]["used"] + memory["ram"]["free"] == memory["ram"]["total"]
    report = host.devices()["cpu"]

    class Without:
        def devices(self):
            return {"cpu": replace(report, available=False)}

    assert listing.memory(Without())["ram"] == {"error": "unavailable"}


def test_the_record_of_a_picture_is_read(client):
    text = "a cat\nNegative prompt: dog\nSteps: 3, Sampler: Euler, Seed: 1"
    chunks = PngInfo()
    chunks.add_text("parameters", text)
    chunks.add_itxt("other", "猫")
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=chunks)
    sent = {"image": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()}
    answer = client.post("/sdapi/v1/png-info", json=sent).json()
    assert answer["info"] == text
    assert answer["items"] == {"parameters": text, "other": "猫"}
    assert answer["parameters"]["Negative prompt"] == "dog"
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    sent = {"image": base64.b64encode(file.getvalue()).decode()}
    assert client.post("/sdapi/v1/png-info", json=sent).json() == {"info": "", "items": {}, "parameters": {}}


def test_the_document_has_every_route_with_its_answer(client):
    paths = client.get("/openapi.json").json()["paths"]
    for name in (*GETS, *POSTS, "txt2img", "img2img", "png-info"):
        assert f"/sdapi/v1/{name}" in paths
    operations = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(operations) == len(set(operations))
