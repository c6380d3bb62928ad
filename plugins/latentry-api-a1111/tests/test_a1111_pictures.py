"""txt2img and img2img by their routes: the pictures are those of the same request on the host."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from latentry_sdk import Request

QUICK = {"prompt": "a red apple", "steps": 3, "width": 64, "height": 64, "seed": 7, "cfg_scale": 5}
SAME = {"prompt": "a red apple", "steps": 3, "width": 64, "height": 64, "seed": 7, "guidance": 5}
INFO = [
    "prompt",
    "all_prompts",
    "negative_prompt",
    "all_negative_prompts",
    "seed",
    "all_seeds",
    "subseed",
    "all_subseeds",
    "width",
    "height",
    "sampler_name",
    "cfg_scale",
    "steps",
    "batch_size",
    "sd_model_name",
    "sd_model_hash",
    "infotexts",
    "index_of_first_image",
    "job_timestamp",
    "clip_skip",
]


def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def base64_of(picture):
    return base64.b64encode(png(picture)).decode()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def made(answer):
    """Pictures, info and echo of a call that must succeed."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [base64.b64decode(image) for image in body["images"]], json.loads(body["info"]), body["parameters"]


@pytest.fixture(scope="module")
def photo():
    """Noise over a slope, so that every pixel differs from what a model would make."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_a_picture_equals_that_of_the_same_request(client, host):
    images, info, echo = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "sampler_name": "Euler a"}))
    result = host.run(Request(task="txt2img", sampler="euler_ancestral", **SAME))
    assert (pixels(images[0]) == pixels(result.artifacts[0].data)).all()
    assert (info["seed"], info["all_seeds"], info["sampler_name"]) == (7, [7], "Euler a")
    assert set(INFO) <= info.keys()
    assert (info["sd_model_name"], info["width"], info["height"]) == ("emoji", 64, 64)
    assert info["sd_model_hash"] == result.applied["model"]["sha256"][:10]
    assert info["infotexts"] == [Image.open(io.BytesIO(images[0])).text["parameters"]]
    assert (echo["steps"], echo["sampler_name"], echo["scheduler"]) == (3, "Euler a", "Automatic")


def test_iterations_and_batches_count_seeds_as_single_calls_do(client, service):
    images, info, _ = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "batch_size": 2, "n_iter": 2}))
    assert info["all_seeds"] == [7, 8, 9, 10]
    assert [wish.request["seed"] for wish in service.wishes] == [7, 9]
    (single,), _, _ = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "seed": 10}))
    assert (pixels(images[3]) == pixels(single)).all()
    assert len({image.tobytes() for image in map(pixels, images)}) == 4


def test_a_drawn_seed_is_told_and_makes_the_picture_again(client):
    (first,), info, _ = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "seed": -1}))
    again, _, _ = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "seed": info["seed"]}))
    assert (pixels(first) == pixels(again[0])).all()


def test_variations_keep_the_seed_and_count_the_subseed(client, host):
    varied = {**QUICK, "subseed": 3, "subseed_strength": 0.4, "n_iter": 2}
    images, info, _ = made(client.post("/sdapi/v1/txt2img", json=varied))
    assert (info["all_seeds"], info["all_subseeds"], info["subseed_strength"]) == ([7, 7], [3, 4], 0.4)
    options = {"variation": {"variation_strength": 0.4, "variation_seed": 4}}
    result = host.run(Request(task="txt2img", sampler="euler", options=options, **SAME))
    assert (pixels(images[1]) == pixels(result.artifacts[0].data)).all()


def test_a_second_pass_equals_the_task_hires(client, host):
    asked = {
        **QUICK,
        "enable_hr": True,
        "hr_scale": 1.5,
        "hr_second_pass_steps": 2,
        "denoising_strength": 0.6,
    }
    (image,), info, _ = made(client.post("/sdapi/v1/txt2img", json={**asked, "hr_upscaler": "Lanczos"}))
    hires = {"scale": 1.5, "steps": 2, "exact_steps": True, "strength": 0.6, "upscaler": "lanczos"}
    result = host.run(Request(task="hires", sampler="euler", options={"hires": hires}, **SAME))
    assert (pixels(image) == pixels(result.artifacts[0].data)).all()
    assert (info["width"], info["height"]) == (96, 96)


def test_image_to_image_equals_the_task(client, host, photo):
    asked = {**QUICK, "init_images": [base64_of(photo)], "denoising_strength": 0.7}
    (image,), _, echo = made(client.post("/sdapi/v1/img2img", json=asked))
    options = {"img2img": {"strength": 0.7}}
    result = host.run(
        Request(task="img2img", sampler="euler", options=options, inputs={"image": photo}, **SAME)
    )
    assert (pixels(image) == pixels(result.artifacts[0].data)).all()
    assert (echo["init_images"], echo["mask"]) == (None, None)


def test_inputs_are_sent_back_where_they_are_wanted(client, photo):
    asked = {**QUICK, "init_images": [base64_of(photo)], "include_init_images": True}
    _, _, echo = made(client.post("/sdapi/v1/img2img", json=asked))
    assert echo["init_images"] == asked["init_images"]


@pytest.mark.parametrize("blur", [0, 2])
def test_inpainting_changes_what_a_grey_mask_shows_white_and_nothing_else(client, host, photo, blur):
    mask = Image.new("L", (64, 64), 40)
    mask.paste(255, (20, 20, 40, 40))
    asked = {
        **QUICK,
        "init_images": [base64_of(photo)],
        "mask": base64_of(mask),
        "mask_blur": blur,
        "denoising_strength": 1,
        "inpaint_full_res": False,
    }
    (image,), _, _ = made(client.post("/sdapi/v1/img2img", json=asked))
    before, after, reach = np.asarray(photo), pixels(image), int(2.5 * blur + 0.5)
    inside = np.zeros((64, 64), bool)
    inside[20 - reach : 40 + reach, 20 - reach : 40 + reach] = True
    assert (after[~inside] == before[~inside]).all()
    assert (after[22:38, 22:38] != before[22:38, 22:38]).any(axis=-1).mean() > 0.9
    inpaint = {"strength": 1, "content": "fill", "binarise": True, "mask_blur": blur}
    inputs = {"image": photo, "mask": mask}
    result = host.run(
        Request(task="inpaint", sampler="euler", options={"inpaint": inpaint}, inputs=inputs, **SAME)
    )
    assert (after == pixels(result.artifacts[0].data)).all()


def test_pictures_can_be_left_out_of_the_reply(client, service):
    images, info, _ = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "send_images": False}))
    assert images == []
    assert len(info["infotexts"]) == 1
    assert len(service.known["1"].outcome.artifacts) == 1


def test_tiling_makes_a_picture_whose_edges_fit(client, host):
    (image,), _, _ = made(client.post("/sdapi/v1/txt2img", json={**QUICK, "tiling": True}))
    options = {"seamless": {"seamless_x": True, "seamless_y": True}}
    result = host.run(Request(task="txt2img", sampler="euler", options=options, **SAME))
    assert (pixels(image) == pixels(result.artifacts[0].data)).all()


def test_a_full_queue_refuses_a_call_but_not_its_later_iterations(steered_client, steered_service, steered):
    steered_service.most = 0
    answer = steered_client.post("/sdapi/v1/txt2img", json=QUICK)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    steered_service.most = 1
    steered_service.refusals = 2
    steered.go(9)
    assert len(made(steered_client.post("/sdapi/v1/txt2img", json={**QUICK, "n_iter": 3}))[0]) == 3
    assert steered_service.refusals == 0


def test_a_password_that_is_sent_along_is_not_sent_back(steered_client, steered):
    steered.go(3)
    answer = steered_client.post(
        "/sdapi/v1/txt2img", json={**QUICK, "url": "http://x", "auth": "name:secret"}
    )
    assert answer.status_code == 200
    assert "secret" not in answer.text


def test_the_address_with_a_slash_at_its_end_is_found(steered_client, steered):
    steered.go(3)
    assert made(steered_client.post("/sdapi/v1/txt2img/", json=QUICK))


def test_a_pictures_text_alone_makes_it_again(client):
    asked = {**QUICK, "negative_prompt": "green", "subseed": 3, "subseed_strength": 0.4}
    (first,), info, _ = made(client.post("/sdapi/v1/txt2img", json={**asked, "sampler_name": "Euler a"}))
    (again,), _, echo = made(client.post("/sdapi/v1/txt2img", json={"infotext": info["infotexts"][0]}))
    assert (pixels(first) == pixels(again)).all()
    assert echo["sampler_name"] == "Euler a"
