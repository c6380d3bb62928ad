"""What a pipeline would leave out is refused in one line, before its weights are read."""

import pytest

import latentry_hires
import latentry_preview
import latentry_variation
from latentry import Host
from latentry.config import Config
from latentry_diffusers.arguments import DecodeOptions
from latentry_sdk import (
    InvalidModel,
    InvalidRequest,
    ModelLoaded,
    StageStarted,
    Stepped,
    UnknownName,
    UserError,
    parsed,
)


def refused(host, request, called):
    """The line that says why, once it is sure that nothing was loaded."""
    events = []
    with pytest.raises(called) as raised:
        host.run(request, on_event=events.append)
    assert not [event for event in events if isinstance(event, ModelLoaded | Stepped)]
    assert not [event for event in events if isinstance(event, StageStarted) and event.stage == "sample"]
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(("kind", "name"), [("sampler", "euler"), ("scheduler", "karras")])
def test_a_sampler_or_a_schedule_of_ours_is_refused_while_planning(kind, name, host, ask):
    with pytest.raises(InvalidRequest, match=f"{kind} '{name}' does not fit FluxPipeline models"):
        host.plan(ask("flux", **{kind: name}))


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
@pytest.mark.parametrize("name", ["pixart", "sana", "wan"])
def test_a_class_that_takes_no_picture_is_refused_while_planning(task, name, host, ask, photo, mask):
    inputs = {"image": photo} | ({"mask": mask} if task == "inpaint" else {})
    with pytest.raises(InvalidRequest, match=f"'diffusers-text' models cannot do encode_image.*{task}"):
        host.plan(ask(name, task, inputs=inputs))


def test_a_size_that_the_pipeline_would_round_is_refused_while_planning(host, ask):
    with pytest.raises(InvalidRequest, match="width 36 is no multiple of 8; 32 or 40 is"):
        host.plan(ask("flux", width=36))
    with pytest.raises(InvalidRequest, match="height 40 is no multiple of 16"):
        host.plan(ask("wan", height=40))


@pytest.mark.parametrize(
    ("name", "more", "line"),
    [
        ("flux", {"negative": "blurry"}, "negative prompt only with diffusers.decode.true_cfg"),
        ("sd3", {"options": {"diffusers.decode": {"true_cfg": 2}}}, "no guidance beside the request's"),
        ("qwen", {"options": {"diffusers.decode": {"true_cfg": 2}}}, "no guidance beside the request's"),
        ("pixart", {"options": {"prompt": {"prompt_2": "a"}}}, "PixArtSigmaPipeline takes no prompt_2"),
        ("qwen", {"options": {"prompt": {"negative_2": "a"}}}, "takes no negative_prompt_2"),
        ("flux", {"options": {"prompt": {"clip_skip": 1}}}, "FluxPipeline takes no clip_skip"),
    ],
)
def test_what_a_class_does_not_take_is_refused_while_planning(name, more, line, host, ask):
    with pytest.raises(InvalidRequest, match=line):
        host.plan(ask(name, **more))


@pytest.mark.parametrize(
    "prompt",
    [
        "a (red:1.3) apple",
        "a ((red)) apple",
        "a red BREAK apple",
        "a [red:blue:0.5] apple",
        "a [red::1] apple",
        "a [red|blue] apple",
    ],
)
@pytest.mark.parametrize("asked", ["prompt", "negative", "prompt_2", "negative_2"])
def test_a_prompt_that_is_more_than_text_is_refused_while_planning(prompt, asked, host, ask):
    second = {"options": {"prompt": {asked: prompt}}}
    request = ask("sd3", **({asked: prompt} if asked in ("prompt", "negative") else second))
    with pytest.raises(InvalidRequest, match=r"^a whole pipeline reads no weights, BREAK or schedules.*$"):
        host.plan(request)


@pytest.mark.parametrize("text", ["(grey:1.2)", "grey BREAK", "[grey|white]"])
@pytest.mark.parametrize("column", ["prompt", "negative_prompt"])
def test_a_style_that_is_more_than_text_is_refused_while_planning(text, column, ask, plugins, tmp_path):
    (tmp_path / "styles.csv").write_text(f"name,{column}\ndull,{text}\n")
    request = ask("sd3", options={"prompt": {"styles": ["dull"]}})
    with (
        Host(plugins, Config(data_dir=tmp_path)) as host,
        pytest.raises(InvalidRequest, match=r"^a whole pipeline reads no weights, BREAK or schedules.*$"),
    ):
        host.plan(request)


def test_a_style_with_a_negative_text_is_refused_while_planning(ask, plugins, tmp_path):
    (tmp_path / "styles.csv").write_text("name,prompt,negative_prompt\ndull,grey,bright\n")
    request = ask("flux", options={"prompt": {"styles": ["dull"]}})
    with (
        Host(plugins, Config(data_dir=tmp_path)) as host,
        pytest.raises(InvalidRequest, match=r"negative prompt only with diffusers\.decode\.true_cfg"),
    ):
        host.plan(request)


def test_choices_are_read_while_planning_as_the_job_reads_them(host, ask):
    request = ask("flux", prompt="a {red|(green:1.3)} apple", batch=8)
    with pytest.raises(InvalidRequest, match="reads no weights"):
        host.plan(request)
    with pytest.raises(UnknownName, match="unknown wildcard 'colour'"):
        host.plan(ask("flux", prompt="a __colour__ apple"))


def test_brackets_that_are_escaped_are_text(host, ask):
    assert host.run(ask("flux", prompt=r"a \(red\) apple", steps=1)).artifacts


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"differential": True}, "makes masks hard, so it takes no differential"),
        ({"content": "latent_noise", "strength": 0.5}, "takes no content latent_noise"),
        ({"content": "latent_nothing", "strength": 0.5}, "takes no content latent_nothing"),
    ],
)
def test_what_happens_to_latents_is_refused_while_planning(options, line, host, ask, photo, mask):
    request = ask("sd3", "inpaint", inputs={"image": photo, "mask": mask}, options={"inpaint": options})
    with pytest.raises(InvalidRequest, match=line):
        host.plan(request)


@pytest.mark.parametrize(
    ("plugin", "task", "options", "line"),
    [
        (latentry_preview, "txt2img", {"preview": {"preview_every": 1}}, "takes no preview.preview_every"),
        (latentry_variation, "txt2img", {"variation": {"variation_strength": 0.5}}, "no variation.variation"),
        (latentry_hires, "hires", {}, "cannot sample twice, as hires does"),
    ],
)
def test_what_other_plugins_do_to_the_sampling_is_refused_while_planning(
    plugin, task, options, line, host, ask, plugins
):
    with Host(plugins=[*plugins, plugin]) as more, pytest.raises(InvalidRequest, match=line):
        more.plan(ask("flux", task, options=options))


def test_options_that_ask_for_nothing_are_no_obstacle(ask, plugins):
    with Host(plugins=[*plugins, latentry_preview, latentry_variation]) as more:
        options = {"preview": {"preview_every": 0}, "variation": {"variation_strength": 0.0}}
        assert more.run(ask("flux", steps=1, options=options)).warnings == ()


def test_a_mask_with_greys_is_used_at_half_and_told(host, ask, photo, mask):
    options = {"inpaint": {"mask_blur": 2, "strength": 0.5}}
    result = host.run(ask("sd3", "inpaint", inputs={"image": photo, "mask": mask}, options=options))
    (warning,) = result.warnings
    assert "makes the mask's greys black or white" in warning


def test_a_class_that_edits_draws_nothing_without_a_picture(host, ask, renamed):
    folder = renamed("qwen", "QwenImageEditPipeline")
    assert "QwenImageEditPipeline needs a picture" in refused(host, ask(folder), InvalidRequest)


def test_a_class_without_a_mask_or_a_strength_takes_neither(host, ask, renamed, photo, mask):
    folder = renamed("qwen", "QwenImageEditPlusPipeline")
    request = ask(folder, "inpaint", inputs={"image": photo, "mask": mask})
    assert "QwenImageEditPlusPipeline takes no mask" in refused(host, request, InvalidRequest)
    request = ask(folder, "img2img", inputs={"image": photo}, options={"img2img": {"strength": 0.5}})
    assert "takes no strength" in refused(host, request, InvalidRequest)


def test_guidance_is_refused_where_the_class_has_none(host, ask, renamed):
    folder = renamed("pixart", "StableCascadeCombinedPipeline")
    assert "takes no guidance" in refused(host, ask(folder, guidance=3), InvalidRequest)
    with pytest.raises(InvalidModel, match="does not fit"):  # it is let through, and is no such model
        host.run(ask(folder, guidance=5))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 101, True, "much", [1]])
def test_true_cfg_is_a_number_from_0_to_100(value, host, ask):
    with pytest.raises(UserError, match="true_cfg"):
        host.plan(ask("flux", options={"diffusers.decode": {"true_cfg": value}}))


def test_true_cfg_may_be_left_out():
    assert parsed(DecodeOptions, {}).true_cfg is None
