"""What is read in diffusers' source is what Python sees once it is imported."""

import inspect

import diffusers
import pytest
from diffusers.pipelines import auto_pipeline

from latentry_diffusers.abilities import ability, serves
from latentry_diffusers.sources import automatic, packages, pipeline

LISTED = {
    "txt2img": auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
    "img2img": auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
    "inpaint": auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
}
SAMPLE = (
    "FluxPipeline",
    "StableDiffusion3InpaintPipeline",
    "PixArtAlphaPipeline",
    "PixArtSigmaPipeline",
    "SanaPipeline",
    "QwenImageEditPipeline",
    "WanPipeline",
    "AuraFlowPipeline",
    "Kandinsky3Pipeline",
    "Lumina2Pipeline",
    "ZImagePipeline",
    "ChromaPipeline",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_class_takes_what_its_signature_says(name):
    parameters = inspect.signature(getattr(diffusers, name).__call__).parameters.values()
    named = [each for each in parameters if each.kind is not each.VAR_KEYWORD and each.name != "self"]
    found = pipeline(name)
    assert found.required == {each.name for each in named if each.default is each.empty}
    literal = {each.name: each.default for each in named if isinstance(each.default, int | float | str)}
    assert {key: found.defaults[key] for key in literal} == literal
    assert found.defaults.keys() == {each.name for each in named} - found.required


@pytest.mark.parametrize("task", LISTED)
def test_the_tables_are_those_of_auto_pipeline(task):
    found = automatic(task)
    assert found == {kind: LISTED[task][kind].__name__ for kind in found}
    assert len(found) > 15


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_class_that_auto_pipeline_chooses_is_the_one_that_is_taken(task):
    """For every text-to-image class whose counterpart needs nothing that a task lacks."""
    compared = 0
    for kind, text in LISTED["txt2img"].items():
        other = LISTED[task].get(kind)
        if other is not None and serves(pipeline(other.__name__), task):
            own = serves(pipeline(text.__name__), task)
            assert ability(text.__name__, task).name == (text if own else other).__name__
            compared += 1
    assert compared >= 6


@pytest.mark.parametrize(
    "name",
    [
        "DiffusionPipeline",  # which cannot be called
        "StableAudioPipeline",
        "WanImageToVideoPipeline",
        "FluxControlPipeline",
        "KandinskyV22Pipeline",
        "UNet2DModel",
        "NoSuchPipeline",
        "os.system",
        "",
    ],
)
def test_what_draws_no_picture_from_a_prompt_does_no_task(name):
    assert [task for task in LISTED if ability(name, task)] == []


def test_a_class_that_edits_draws_nothing_without_a_picture():
    assert ability("QwenImageEditPipeline", "txt2img") is None
    assert ability("QwenImageEditPipeline", "img2img").name == "QwenImageEditPipeline"
    assert ability("FluxFillPipeline", "inpaint").name == "FluxFillPipeline"
    assert ability("FluxFillPipeline", "txt2img") is None


def test_components_may_be_of_pipelines_packages():
    assert {"deepfloyd_if", "kolors"} <= packages()
