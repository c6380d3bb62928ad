"""The records inside pictures, as an independent reader sees them."""

import io
import json
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.parsers import AUTOMATIC1111Parser

import latentry_images
from latentry_images import WriteOptions
from latentry_images.metadata import clean, document, parameters_text
from latentry_images.writing import as_bytes, encode
from latentry_sdk import (
    ARTIFACTS,
    IMAGES,
    JOB,
    ImageReady,
    InvalidInput,
    InvalidRequest,
    Job,
    ModelHeader,
    Options,
    Request,
    State,
)
from latentry_sdk.records import read_texts

FORMATS = ("png", "jpeg", "webp")
HOSTILE = (
    "Steps: 1, Sampler: x, CFG scale: 2, Seed: 3",
    "\nNegative prompt: ",
    "Negative prompt:",
    "\r\n",
    "\0",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "Steps: ",
    '{"a": 1}',
    "Hashes: {}",
    "<lora:foo:0.8>",
    "👩‍🚀",
    "تفاحة",
    "a, b: c",
)
TEXT = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(HOSTILE)), max_size=8).map("".join)


def make_job(**more: object) -> Job:
    """A job as the stages see it, on the smallest plan that they read."""
    fields = {"task": "txt2img", "prompt": "a cat, <lora:foo:0.8>", "negative": "blurry, lowres", **more}
    form, model = (
        str(fields.pop("form", "png")),
        str(fields.pop("model_path", "/models/sdxl-base.safetensors")),
    )
    request = Request.model_validate(fields)
    plan = SimpleNamespace(
        request=request,
        task=SimpleNamespace(options=Options),
        stages=latentry_images.register_stages()[1:],
        family=SimpleNamespace(load=json.loads),
        sampler=SimpleNamespace(name="dpmpp_2m", label="DPM++ 2M", sample=max),
        scheduler=SimpleNamespace(name="karras", label="Karras", sigmas=partial(partial(min), 1)),
        optimizers=(),
        options={},
        quantizers={},
        further={"second": None},
        config=SimpleNamespace(cache_dir=Path("none")),
        header=ModelHeader(Path(model)),
        seeds=(42, 43),
        format=form,
        options_of=lambda kind: WriteOptions(),
        applied=lambda: {"steps": 20, "model": {"name": "sdxl-base"}, "device": "cpu"},
    )
    events: list[object] = []
    job = Job("one", plan, events.append)
    object.__setattr__(job, "events", events)
    return job


def test_a_prompt_with_choices_is_recorded_as_they_fell() -> None:
    job = make_job(prompt="a {red|blue} cat", negative="")
    job.apply("prompts", [{"prompt": "a red cat", "negative": ""}, {"prompt": "a blue cat", "negative": "x"}])
    assert parameters_text(job, 0, (8, 8)).splitlines()[0] == "a red cat"
    assert parameters_text(job, 1, (8, 8)).splitlines()[:2] == ["a blue cat", "Negative prompt: x"]
    assert json.loads(document(job, 1))["request"]["prompt"] == "a {red|blue} cat"


def independent(data: bytes) -> tuple[str, str, object]:
    """Prompt, negative prompt and sampler as sd-parsers reads them."""
    with Image.open(io.BytesIO(data)) as picture:
        found = ParserManager().parse(picture)
        KEPT.append(picture)  # sd-parsers remembers metadata by the id of the image
    assert found is not None
    (sampler,) = found.samplers
    texts = ["".join(prompt.value for prompt in part) for part in (found.prompts, found.negative_prompts)]
    return texts[0], texts[1], sampler


KEPT: list[Image.Image] = []


def read_back(data: bytes) -> tuple[str | None, str | None]:
    """Both records as the sdk reads them."""
    texts = read_texts(data, "the picture", 1_000_000)
    return texts.get("parameters"), texts.get("latentry")


def test_the_text_is_what_other_programs_write() -> None:
    lines = parameters_text(make_job(guidance=6), 1, (1024, 768)).split("\n")
    version = lines[2].rpartition("Version: ")[2]
    assert lines == [
        "a cat, <lora:foo:0.8>",
        "Negative prompt: blurry, lowres",
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.0, Seed: 43, Size: 1024x768, "
        f"Model: sdxl-base, Version: {version}",
    ]
    assert version.startswith("latentry ")


def test_a_value_with_a_comma_or_colon_is_a_json_string() -> None:
    text = parameters_text(make_job(model_path="/m/odd, name: 1.0"), 0, (8, 8))
    assert 'Model: "odd, name: 1.0", Version' in text


def test_the_models_hash_is_written_where_it_is_known() -> None:
    job = make_job()
    job.apply("model", {"sha256": "31e35c80fc4829d14f90153f4c74cd59"})
    assert "Model hash: 31e35c80fc, Model: sdxl-base" in parameters_text(job, 0, (8, 8))


@pytest.mark.parametrize("form", FORMATS)
def test_another_program_reads_the_record(form: str) -> None:
    job = make_job(form=form, guidance=6)
    artifact = encode(Image.new("RGB", (8, 8)), job, 0, 90)
    prompt, negative, sampler = independent(artifact.data)
    assert (prompt, negative) == ("a cat, <lora:foo:0.8>", "blurry, lowres")
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters == {"scheduler": "Karras", "cfg_scale": "6.0", "seed": "42", "steps": "20"}
    assert sampler.model.name == "sdxl-base"
    assert (artifact.media_type, artifact.seed) == (f"image/{form}", 42)


@pytest.mark.parametrize("form", FORMATS)
def test_the_document_reads_back_whole(form: str) -> None:
    job = make_job(form=form, inputs={"image": b"123"}, options={"x": {"path": Path("a")}})
    parameters, whole = read_back(encode(Image.new("RGB", (8, 8)), job, 1, 90).data)
    assert parameters == parameters_text(job, 1, (8, 8))
    read = json.loads(whole)
    assert read["request"]["prompt"] == "a cat, <lora:foo:0.8>"
    assert read["request"]["inputs"]["image"].startswith("sha256:a665a45920422f9d")
    assert (read["seed"], read["applied"]["device"]) == (43, "cpu")
    assert read["latentry"]


def test_a_request_can_be_made_from_its_document() -> None:
    request = json.loads(document(make_job(steps=7, options={"x": {"y": [1, 2]}}), 0))["request"]
    assert Request.model_validate(request) == make_job(steps=7, options={"x": {"y": [1, 2]}}).plan.request


def as_read(text: str) -> str:
    return clean(text).replace("Negative prompt:", "Negative prompt :").strip()


@settings(deadline=None)
@given(prompt=TEXT, negative=TEXT)
def test_a_hostile_prompt_reaches_another_program_as_it_is(prompt: str, negative: str) -> None:
    text = parameters_text(make_job(prompt=prompt, negative=negative), 0, (8, 8))
    found = AUTOMATIC1111Parser().parse({"parameters": text})
    (sampler,) = found.samplers
    assert "".join(part.value for part in found.prompts) == as_read(prompt)
    assert "".join(part.value for part in found.negative_prompts) == as_read(negative)
    assert (sampler.parameters["seed"], sampler.parameters["steps"]) == ("42", "20")


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None, max_examples=50)
@given(prompt=TEXT, negative=TEXT)
def test_any_text_survives_in_any_format(form: str, prompt: str, negative: str) -> None:
    job = make_job(form=form, prompt=prompt, negative=negative)
    parameters, whole = read_back(encode(Image.new("RGB", (2, 2)), job, 0, 90).data)
    assert parameters == parameters_text(job, 0, (2, 2))
    assert json.loads(whole)["request"]["prompt"] == prompt


@given(text=st.text(st.characters(exclude_categories=())))
def test_clean_text_has_no_controls_and_can_be_encoded(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert not set(cleaned) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}
    assert clean(cleaned) == cleaned


def test_line_ends_become_newlines_and_a_lone_surrogate_is_marked() -> None:
    assert clean("a\x00b\r\nc\rd\u2028e\ud800\x1b[31m\t👩‍🚀") == "ab\nc\nd\ne\ufffd[31m\t👩‍🚀"


@pytest.mark.parametrize("letter", ["x", "é", "🍎"])
def test_a_prompt_too_long_for_jpeg_is_whole_in_our_record_and_the_user_is_told(letter: str) -> None:
    job = make_job(form="jpeg", prompt=letter * 100_000, negative=letter * 100_000)
    data = encode(Image.new("RGB", (8, 8)), job, 0, 90).data
    parameters, whole = read_back(data)
    assert json.loads(whole)["request"]["prompt"] == letter * 100_000
    assert independent(data)[0] == letter * 7_500
    assert "Seed: 42" in parameters
    assert job.warnings == (
        "JPEG has no room for so long a prompt: other programs will read its beginning only",
    )


@pytest.mark.parametrize("form", ["png", "webp"])
def test_a_prompt_too_long_for_jpeg_fits_elsewhere(form: str) -> None:
    job = make_job(form=form, prompt="🍎" * 100_000)
    data = encode(Image.new("RGB", (8, 8)), job, 0, 90).data
    assert independent(data)[0] == "🍎" * 100_000
    assert not job.warnings


def test_no_record_reads_as_none_and_no_picture_is_refused() -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        file = io.BytesIO()
        Image.new("RGB", (2, 2)).save(file, form)
        assert read_back(file.getvalue()) == (None, None)
    with pytest.raises(InvalidInput, match="the picture is no picture"):
        read_back(b"<html>")


def test_a_picture_too_large_for_a_format_is_refused_with_a_fix() -> None:
    with pytest.raises(InvalidRequest, match="webp pictures end at 16383 pixels; choose png"):
        as_bytes(Image.new("L", (16_384, 1)), "webp", ("", "{}"), 90)


@pytest.mark.parametrize("form", FORMATS)
def test_the_pixels_are_those_given(form: str) -> None:
    made = Image.linear_gradient("L").convert("RGBA" if form != "jpeg" else "RGB")
    back = encode(made, make_job(form=form), 0, 100).open().convert("L")
    limit = 0 if form == "png" else 6
    assert max(abs(a - b) for a, b in zip(back.tobytes(), made.convert("L").tobytes(), strict=True)) <= limit


def test_the_stage_writes_one_artifact_a_picture_and_tells_of_each() -> None:
    (_, write) = latentry_images.register_stages()
    job = make_job()
    pictures = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    artifacts = write.run(State().put(JOB, job).put(IMAGES, pictures))[ARTIFACTS]
    assert [artifact.seed for artifact in artifacts] == [42, 43]
    assert [artifact.open().getpixel((0, 0)) for artifact in artifacts] == [(255, 0, 0), (0, 0, 255)]
    assert job.events == [ImageReady("one", 0, 42), ImageReady("one", 1, 43)]
    assert job.applied["plugins"] == {"latentry-images": version("latentry-images")}
    assert job.applied["libraries"] == {"pillow": version("pillow")}
    assert "sha256" not in job.applied["model"]  # there is no such file
