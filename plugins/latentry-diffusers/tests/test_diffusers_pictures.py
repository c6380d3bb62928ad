"""Pictures are, bit for bit, those of the same pipelines called by diffusers itself."""

import json

import numpy as np
import pytest
import torch

from latentry_sdk import UnknownName

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")  # of diffusers in its Chroma
ASKED = {
    "aura": {},
    "chroma": {},
    "lumina": {},
    "zimage": {},
    "flux": {"guidance_scale": 3.5},
    "sd3": {"guidance_scale": 7.0},
    "pixart": {"guidance_scale": 4.5, "use_resolution_binning": False, "clean_caption": False},
    "sana": {"guidance_scale": 4.5, "use_resolution_binning": False},
    "qwen": {"true_cfg_scale": 4.0, "negative_prompt": ""},
    "wan": {"guidance_scale": 5.0, "num_frames": 1},
}
"""What a user of diffusers writes for the request's defaults, or may leave out."""

WITH_PICTURES = {"flux": {"guidance_scale": 7.0}, "sd3": ASKED["sd3"], "qwen": ASKED["qwen"], "zimage": {}}
"""The same for classes that take a picture; Flux has another default there."""


def reference(pipeline, seed=7, **asked):
    """The picture of a direct call."""
    arguments = {"prompt": "a red apple", "num_inference_steps": 3, "width": 32, "height": 32, **asked}
    with torch.no_grad():
        made = pipeline(generator=torch.Generator().manual_seed(seed), output_type="pil", **arguments)
    return np.asarray(made.images[0] if hasattr(made, "images") else made.frames[0][0])


def pictures(result):
    return [np.asarray(artifact.open()) for artifact in result.artifacts]


@pytest.mark.parametrize("name", ASKED)
def test_text_to_image_equals_the_pipeline(name, host, ask, tiny):
    (picture,) = pictures(host.run(ask(name)))
    assert np.array_equal(picture, reference(tiny(name).pipeline, **ASKED[name]))
    assert picture.std() > 5


@pytest.mark.parametrize("name", ["flux", "sd3"])
def test_the_type_that_was_asked_for_is_the_pipelines_and_is_told(name, host, ask, tiny, monkeypatch):
    """On a processor that is said to have bfloat16: torch computes in it on any, slowly."""
    monkeypatch.setattr("latentry_cpu.device.has_bfloat16", lambda: True)
    result = host.run(ask(name, dtype="bfloat16"))
    assert result.applied["dtypes"] == {"pipeline": "bfloat16"}
    kind = type(tiny(name).pipeline)
    narrow = kind.from_pretrained(tiny(name).folder, dtype=torch.bfloat16)
    narrow.set_progress_bar_config(disable=True)
    wanted = reference(narrow, **ASKED[name])
    assert np.array_equal(pictures(result)[0], wanted)
    wide = host.run(ask(name, dtype="float32"))
    assert wide.applied["dtypes"] == {"pipeline": "float32"}
    assert np.array_equal(pictures(wide)[0], reference(tiny(name).pipeline, **ASKED[name]))
    assert not np.array_equal(pictures(wide)[0], wanted)


def test_a_type_that_the_device_lacks_is_refused_while_planning(host, ask):
    with pytest.raises(UnknownName, match="'float16'; known: bfloat16, float32"):
        host.plan(ask("flux", dtype="float16"))


@pytest.mark.parametrize("name", WITH_PICTURES)
def test_image_to_image_equals_the_pipeline_that_auto_pipeline_names(name, host, ask, tiny, photo):
    from diffusers import AutoPipelineForImage2Image

    request = ask(name, "img2img", inputs={"image": photo}, steps=4, options={"img2img": {"strength": 0.5}})
    (picture,) = pictures(host.run(request))
    pipeline = AutoPipelineForImage2Image.from_pipe(tiny(name).pipeline)
    asked = {"image": photo, "strength": 0.5, "num_inference_steps": 4, **WITH_PICTURES[name]}
    assert np.array_equal(picture, reference(pipeline, **asked))


@pytest.mark.parametrize("name", WITH_PICTURES)
def test_inpainting_equals_the_pipeline_in_the_mask_and_the_picture_outside(
    name, host, ask, tiny, photo, mask
):
    from diffusers import AutoPipelineForInpainting

    request = ask(
        name,
        "inpaint",
        inputs={"image": photo, "mask": mask},
        steps=4,
        options={"inpaint": {"strength": 0.75}},
    )
    (picture,) = pictures(host.run(request))
    pipeline = AutoPipelineForInpainting.from_pipe(tiny(name).pipeline)
    asked = {"image": photo, "mask_image": mask, "strength": 0.75, **WITH_PICTURES[name]}
    made = reference(pipeline, num_inference_steps=4, **asked)
    assert np.array_equal(picture[:, 16:], made[:, 16:])
    assert np.array_equal(picture[:, :16], np.asarray(photo)[:, :16])


@pytest.mark.parametrize("name", ["sd3", "pixart", "qwen"])
def test_guidance_and_a_negative_prompt_reach_the_pipeline(name, host, ask, tiny):
    (picture,) = pictures(host.run(ask(name, guidance=3, negative="a blue bowl")))
    guidance = {next(key for key in ASKED[name] if key.endswith("_scale")): 3.0}
    asked = {**ASKED[name], **guidance, "negative_prompt": "a blue bowl"}
    assert np.array_equal(picture, reference(tiny(name).pipeline, **asked))
    assert not np.array_equal(picture, reference(tiny(name).pipeline, **ASKED[name]))


def test_a_distilled_model_reads_a_negative_prompt_with_true_cfg(host, ask, tiny):
    options = {"diffusers.decode": {"true_cfg": 4}}
    (picture,) = pictures(host.run(ask("flux", negative="a blue bowl", options=options)))
    asked = {**ASKED["flux"], "true_cfg_scale": 4.0, "negative_prompt": "a blue bowl"}
    assert np.array_equal(picture, reference(tiny("flux").pipeline, **asked))


def test_second_prompts_and_clip_skip_reach_the_pipeline(host, ask, tiny):
    options = {"prompt": {"prompt_2": "a pear", "negative_2": "a bowl", "clip_skip": 1}}
    (picture,) = pictures(host.run(ask("sd3", negative="x", options=options)))
    asked = {"prompt_2": "a pear", "negative_prompt": "x", "negative_prompt_2": "a bowl", "clip_skip": 1}
    assert np.array_equal(picture, reference(tiny("sd3").pipeline, **ASKED["sd3"], **asked))


@pytest.mark.parametrize("name", ASKED)
def test_an_image_of_a_batch_equals_the_single_run_with_its_seed(name, host, ask, tiny):
    three = pictures(host.run(ask(name, batch=3)))
    singles = [reference(tiny(name).pipeline, seed, **ASKED[name]) for seed in (7, 8, 9)]
    assert all(np.array_equal(*pair) for pair in zip(three, singles, strict=True))
    assert not np.array_equal(three[0], three[1])


def test_choices_in_a_prompt_are_drawn_for_each_image(host, ask, tiny):
    request = ask("flux", prompt="{red|green|blue} {apple|pear|plum}", batch=2)
    result = host.run(request)
    texts = [each["prompt"] for each in result.applied["prompts"]]
    assert texts[0] != texts[1]
    made = [
        reference(tiny("flux").pipeline, seed, prompt=text, **ASKED["flux"])
        for text, seed in zip(texts, (7, 8), strict=True)
    ]
    assert all(np.array_equal(*pair) for pair in zip(pictures(result), made, strict=True))


def test_what_was_done_is_reported(host, ask, photo):
    applied = host.run(ask("flux", "img2img", inputs={"image": photo})).applied
    assert applied["pipeline"] == "FluxImg2ImgPipeline"
    assert applied["model"]["variant"] == "FluxPipeline"
    assert applied["guidance"] == 7.0  # that class's own default
    assert (applied["sampler"], applied["scheduler"]) == ("diffusers", "diffusers")


def test_what_is_written_with_a_picture_makes_it_again(host, ask):
    first = host.run(ask("flux"))
    record = json.loads(first.artifacts[0].open().text["latentry"])
    assert record["request"]["guidance"] == 3.5
    again = host.run(ask("flux", guidance=record["request"]["guidance"]))
    assert np.array_equal(*pictures(first), *pictures(again))


def test_full_resolution_inpainting_works_at_the_models_size_and_lays_the_result_back(host, ask, photo, mask):
    options = {"inpaint": {"full_res": True, "padding": 4}}
    result = host.run(ask("sd3", "inpaint", inputs={"image": photo, "mask": mask}, options=options))
    (picture,) = pictures(result)
    assert np.array_equal(picture[:, :16], np.asarray(photo)[:, :16])
    assert not np.array_equal(picture[:, 16:], np.asarray(photo)[:, 16:])
