"""What is refused because it would have no effect here."""

import pytest
from pydantic import ValidationError

import latentry_txt2img
from latentry_api_a1111.fields import Asked, Img2Img, Txt2Img
from latentry_api_a1111.limits import ONLY, check_fields, check_pixels, check_provided, check_scripts, is_on
from latentry_sdk import Host, InvalidRequest

UNIT = {"enabled": True, "module": "canny", "weight": 1.0}
OFF = [
    {},
    {"ControlNet": {"args": []}},
    {"ControlNet": {"args": [{**UNIT, "enabled": False}, {"enabled": False}]}},
    {"ADetailer": {"args": [False]}},
    {"animatediff": {"args": [{"enable": False, "fps": 8}]}},
    {"Refiner": {"args": [False, "", 0]}, "Seed": {"args": None}},
    {"Anything": {}},
    {"Anything": None},
    {"Anything": []},
]
ON = [
    {"ControlNet": {"args": [UNIT]}},
    {"ControlNet": {"args": [{"module": "canny"}]}},
    {"ControlNet": {"args": {"enabled": True}}},
    {"ADetailer": {"args": [True, {"ad_model": "face_yolov8n.pt"}]}},
    {"Sampler": {"args": [20, "DPM++ 2M", "Automatic"]}},
    {"Anything": [1]},
]


@pytest.mark.parametrize("scripts", OFF, ids=str)
def test_scripts_that_are_off_are_accepted(scripts):
    check_scripts(scripts)


@pytest.mark.parametrize("scripts", ON, ids=str)
def test_a_script_that_is_on_is_refused_by_name(scripts):
    with pytest.raises(InvalidRequest, match=f"there is no script '{next(iter(scripts))}' here"):
        check_scripts(scripts)


def test_an_argument_is_on_when_it_says_more_than_off():
    assert [is_on(value) for value in (None, "", 0, 0.0, False, [], {}, [[], {}])] == [False] * 8
    assert [is_on(value) for value in ("x", 1, True, ["", 1], {"a": 0}, {"enabled": 1})] == [True] * 6


@pytest.mark.parametrize("name", ONLY)
def test_a_field_with_one_meaning_takes_no_other_value(name):
    kind = next(kind for kind in (Txt2Img, Img2Img) if name in kind.model_fields)
    other = "something" if isinstance(ONLY[name][0], str) else True if isinstance(ONLY[name][0], bool) else 17
    assert other not in ONLY[name]
    with pytest.raises(InvalidRequest, match=f"^{name} can only be "):
        check_fields(kind(**{name: other}))
    for value in (*ONLY[name], None):
        check_fields(kind(**{name: value}))


def test_every_default_is_accepted():
    check_fields(Txt2Img())
    check_fields(Img2Img())


@pytest.mark.parametrize("value", [None, "", [], {}, 0, False])
def test_an_unknown_field_may_be_empty(value):
    check_fields(Txt2Img(hr_additional_modules=value))


def test_a_field_of_the_other_kind_of_call_may_have_its_default():
    check_fields(Img2Img(enable_hr=False, hr_scale=2, hr_upscaler="Latent"))
    check_fields(Txt2Img(mask_blur=4, inpaint_full_res=True))
    with pytest.raises(InvalidRequest, match="the field 'enable_hr' is not known here"):
        check_fields(Img2Img(enable_hr=True))


def test_an_unknown_field_that_says_something_is_refused():
    with pytest.raises(InvalidRequest, match="the field 'hr_additional_modules' is not known here"):
        check_fields(Txt2Img(hr_additional_modules=["vae"]))


def test_the_address_and_password_that_sillytavern_sends_along_are_passed_over():
    check_fields(Txt2Img(url="http://127.0.0.1:8585", auth="name:secret"))


def test_the_pixels_of_all_images_of_a_call_are_limited():
    check_pixels(Asked(width=1000, height=1000, batch_size=8, n_iter=8), 64)
    with pytest.raises(InvalidRequest, match=r"64 × 1001 × 1000 is more than 64 megapixels in one call"):
        check_pixels(Asked(width=1001, height=1000, batch_size=8, n_iter=8), 64)


@pytest.mark.parametrize(
    ("task", "owners"), [("hires", []), ("txt2img", ["variation"]), ("txt2img", ["seamless"])]
)
def test_what_a_missing_plugin_would_do_is_refused_with_its_name(task, owners):
    host = Host(plugins=[latentry_txt2img])
    check_provided("txt2img", ["euler"], host)
    missing = owners[0] if owners else task
    with pytest.raises(InvalidRequest, match=f"install latentry-{missing}"):
        check_provided(task, owners, host)


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": float("nan")},
        {"cfg_scale": float("inf")},
        {"cfg_scale": True},
        {"steps": 2.5},
        {"seed": 2**64},
        {"seed": -2},
        {"batch_size": 0},
        {"batch_size": 10**6},
        {"n_iter": 10**6},
        {"width": 7},
        {"height": 10**6},
        {"styles": "photo"},
        {"alwayson_scripts": []},
        {"override_settings": "x"},
        {"prompt": 5},
    ],
    ids=str,
)
def test_values_of_a_wrong_type_or_range_are_refused(fields):
    with pytest.raises(ValidationError):
        Asked(**fields)
