"""Fields to a request, each by itself, and seeds to iterations."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry_api_a1111.fields import Img2Img, Txt2Img
from latentry_api_a1111.settings import Chosen
from latentry_api_a1111.translating import request_of, seeds_of, settings_of, wishes_of
from latentry_sdk import MAX_SEED, InvalidInput, InvalidRequest, UnknownName

IMAGE = base64.b64encode(b"picture").decode()
MASK = base64.b64encode(b"mask").decode()
PLAIN = {
    "task": "txt2img",
    "prompt": "",
    "negative": "",
    "sampler": "euler",
    "steps": 50,
    "guidance": 7,
    "batch": 1,
    "format": "png",
    "options": {"preview": {"preview_every": 1}},
}
IMG2IMG = {"strength": 0.75, "resize_mode": "fixed"}
INPAINT = {
    "strength": 0.75,
    "content": "fill",
    "binarise": True,
    "invert": False,
    "mask_blur": 4,
    "full_res": True,
    "padding": 0,
}
HIRES = {"scale": 2, "upscaler": "Latent", "strength": 0.75, "steps": 0, "exact_steps": True}

FIELDS = [
    ({"prompt": "a cat", "negative_prompt": "blurry"}, {"prompt": "a cat", "negative": "blurry"}, {}),
    ({"steps": 20, "cfg_scale": 3.5}, {"steps": 20, "guidance": 3.5}, {}),
    ({"width": 64, "height": 128, "batch_size": 3}, {"width": 64, "height": 128, "batch": 3}, {}),
    ({"sampler_name": "Euler a", "sampler_index": "Heun"}, {"sampler": "euler_ancestral"}, {}),
    ({"sampler_index": "Heun"}, {"sampler": "heun"}, {}),
    ({"sampler_name": "DPM++ 2M Karras"}, {"sampler": "dpmpp_2m", "scheduler": "karras"}, {}),
    (
        {"sampler_name": "Euler a", "eta": 0.5},
        {"sampler": "euler_ancestral"},
        {"euler_ancestral": {"eta": 0.5}},
    ),
    ({"styles": ["photo"]}, {}, {"prompt": {"styles": ["photo"]}}),
    ({"subseed_strength": 0.25}, {}, {"variation": {"variation_strength": 0.25}}),
    ({"tiling": True}, {}, {"seamless": {"seamless_x": True, "seamless_y": True}}),
    (
        {"refiner_checkpoint": "emoji", "refiner_switch_at": 0.6},
        {},
        {"refiner": {"refiner": "emoji", "switch_at": 0.6}},
    ),
    ({"denoising_strength": 0.3, "hr_scale": 3, "save_images": True}, {}, {}),
    ({"enable_hr": True}, {"task": "hires"}, {"hires": HIRES}),
    (
        {"enable_hr": True, "hr_resize_x": 128, "hr_upscaler": "None", "denoising_strength": 0.4},
        {"task": "hires"},
        {"hires": {**HIRES, "width": 128, "upscaler": "lanczos", "strength": 0.4}},
    ),
    (
        {"enable_hr": True, "hr_second_pass_steps": 5, "hr_prompt": "sharp", "hr_negative_prompt": "soft"},
        {"task": "hires"},
        {"hires": {**HIRES, "steps": 5, "prompt": "sharp", "negative": "soft"}},
    ),
    (
        {"enable_hr": True, "sampler_name": "DPM++ 2M Karras", "hr_sampler_name": "Euler a", "eta": 0.5},
        None,
        None,
    ),
    (
        {"enable_hr": True, "sampler_name": "DPM++ 2M Karras", "hr_sampler_name": "Euler a", "eta": 1.0},
        {"task": "hires", "sampler": "dpmpp_2m", "scheduler": "karras"},
        {
            "hires": {
                **HIRES,
                "sampler": "euler_ancestral",
                "scheduler": "karras",
                "sampler_options": {"eta": 1.0},
            }
        },
    ),
    (
        {"enable_hr": True, "hr_sampler_name": "Use same sampler", "hr_scheduler": "Karras"},
        {"task": "hires"},
        {"hires": {**HIRES, "sampler": "euler", "scheduler": "karras"}},
    ),
    (
        {"enable_hr": True, "sampler_name": "DPM++ 2M", "hr_sampler_name": "Euler"},
        {"task": "hires", "sampler": "dpmpp_2m", "scheduler": "karras"},
        {"hires": {**HIRES, "sampler": "euler", "scheduler": "normal"}},
    ),
    (
        {"enable_hr": True, "hr_sampler_name": "DPM++ 2M", "hr_scheduler": "Automatic"},
        {"task": "hires"},
        {"hires": {**HIRES, "sampler": "dpmpp_2m", "scheduler": "karras"}},
    ),
]


@pytest.mark.parametrize(("fields", "request_fields", "options"), FIELDS, ids=lambda value: str(value)[:60])
def test_each_field_of_txt2img_has_its_place_in_the_request(host, fields, request_fields, options):
    asked = Txt2Img(**fields)
    if request_fields is None:  # an eta that the first sampler cannot have
        with pytest.raises(InvalidRequest, match="dpmpp_2m has no eta"):
            request_of(asked, Chosen(), host)
        return
    expected = {**PLAIN, **request_fields, "options": {**PLAIN["options"], **options}}
    assert request_of(asked, Chosen(), host) == expected


@pytest.mark.parametrize(
    ("fields", "task", "options"),
    [
        ({}, "img2img", IMG2IMG),
        ({"denoising_strength": 0.4, "resize_mode": 2}, "img2img", {"strength": 0.4, "resize_mode": "fill"}),
        ({"mask": MASK}, "inpaint", INPAINT),
        (
            {"mask": MASK, "inpainting_fill": 1, "mask_blur": 0},
            "inpaint",
            {**INPAINT, "content": "original", "mask_blur": 0},
        ),
        ({"mask": MASK, "inpainting_fill": 2}, "inpaint", {**INPAINT, "content": "latent_noise"}),
        ({"mask": MASK, "inpainting_fill": 3}, "inpaint", {**INPAINT, "content": "latent_nothing"}),
        ({"mask": MASK, "inpainting_mask_invert": 1}, "inpaint", {**INPAINT, "invert": True}),
        (
            {"mask": MASK, "inpaint_full_res_padding": 32, "resize_mode": 1},
            "inpaint",
            {**INPAINT, "padding": 32},
        ),
        (
            {"mask": MASK, "inpaint_full_res": False},
            "inpaint",
            {**{name: value for name, value in INPAINT.items() if name != "padding"}, "full_res": False},
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_field_of_img2img_has_its_place_in_the_request(host, fields, task, options):
    request = request_of(Img2Img(init_images=[IMAGE], **fields), Chosen(), host)
    assert request == {**PLAIN, "task": task, "options": {**PLAIN["options"], task: options}}


def test_pictures_are_inputs_with_or_without_a_prefix(host):
    asked = Img2Img(init_images=[f"data:image/png;base64,{IMAGE}"], mask=f"{MASK[:4]}\r\n{MASK[4:]}")
    (wish,) = wishes_of(asked, Chosen(), host)
    assert wish.inputs == {"image": b"picture", "mask": b"mask"}


@pytest.mark.parametrize(
    "image", ["http://127.0.0.1/a.png", "=", "abc", "AAAA=A==", "é", "", "data:image/png;base64,"]
)
def test_what_is_no_base64_is_refused(host, image):
    with pytest.raises(InvalidInput, match="init_images is"):
        wishes_of(Img2Img(init_images=[image]), Chosen(), host)


def test_img2img_needs_a_picture(host):
    with pytest.raises(InvalidRequest, match="init_images is empty"):
        wishes_of(Img2Img(), Chosen(), host)


def test_a_mask_over_the_whole_picture_is_fitted_in_one_way(host):
    with pytest.raises(InvalidRequest, match="resize_mode can only be 0"):
        request_of(Img2Img(mask=MASK, inpaint_full_res=False, resize_mode=1), Chosen(), host)


def test_chosen_settings_are_in_the_request(host):
    request = request_of(Txt2Img(), Chosen("emoji", 2), host)
    assert request == {**PLAIN, "model": "emoji", "options": {**PLAIN["options"], "prompt": {"clip_skip": 1}}}


def test_a_pipeline_that_runs_whole_is_asked_for_no_previews(host):
    request = request_of(Txt2Img(sampler_name="diffusers"), Chosen(), host)
    assert request == {**PLAIN, "sampler": "diffusers", "options": {}}


def test_a_refiner_is_a_listed_model(host):
    with pytest.raises(UnknownName, match=r"unknown model '\.\./x'"):
        request_of(Txt2Img(refiner_checkpoint="../x"), Chosen(), host)


def test_the_field_clip_skip_counts_less_than_the_setting():
    both = Txt2Img(clip_skip=3, override_settings={"CLIP_stop_at_last_layers": 2})
    assert settings_of(both) == {"CLIP_stop_at_last_layers": 2}
    assert settings_of(Txt2Img(clip_skip=3)) == {"CLIP_stop_at_last_layers": 3}
    assert settings_of(Txt2Img()) == {}


@given(st.integers(0, MAX_SEED), st.integers(0, MAX_SEED), st.integers(1, 8), st.integers(1, 8))
def test_seeds_of_iterations_go_on_where_the_one_before_ended(seed, subseed, batch, count):
    plain = Txt2Img(seed=seed, subseed=subseed, batch_size=batch, n_iter=count)
    varied = plain.model_copy(update={"subseed_strength": 0.5})
    wrapped = [index * batch % (MAX_SEED + 1) for index in range(count)]
    assert [(first - seed) % (MAX_SEED + 1) for first, _ in seeds_of(plain)] == wrapped
    assert {first for first, _ in seeds_of(varied)} == {seed}
    assert [(second - subseed) % (MAX_SEED + 1) for _, second in seeds_of(varied)] == wrapped


def test_a_seed_of_minus_one_is_drawn_once_for_all_iterations():
    (first, _), (second, _) = seeds_of(Txt2Img(n_iter=2))
    assert second == first + 1
    assert len({next(seeds_of(Txt2Img())) for _ in range(8)}) == 8


def test_the_subseed_of_an_iteration_is_an_option_of_variation(host):
    asked = Txt2Img(seed=5, subseed=9, subseed_strength=0.5, n_iter=2, batch_size=2)
    requests = [wish.request for wish in wishes_of(asked, Chosen(), host)]
    assert [request["seed"] for request in requests] == [5, 5]
    assert [request["options"]["variation"]["variation_seed"] for request in requests] == [9, 11]
