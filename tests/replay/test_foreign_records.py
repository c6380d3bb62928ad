"""Pictures of AUTOMATIC1111, ComfyUI and InvokeAI, built as these programs write them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sd_parsers import ParserManager

from latentry import Config, Host, Request

if TYPE_CHECKING:
    from tests.replay.conftest import Desk

A1111 = """a red apple on a blue background, <lora:shiny:0.8>
Negative prompt: blurry, lowres
Steps: 4, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 7, Size: 64x64, \
Model hash: 31e35c80fc, Model: emoji64, VAE: fine.safetensors, \
Clip skip: 2, Denoising strength: 0.4, Version: v1.10.1"""

COMFYUI: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 156680208700286,
            "steps": 4,
            "cfg": 8.0,
            "sampler_name": "euler_ancestral",
            "scheduler": "karras",
            "denoise": 1.0,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "SD/emoji64.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["10", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {
            "lora_name": "shiny.safetensors",
            "strength_model": 0.8,
            "model": ["4", 0],
            "clip": ["4", 1],
        },
    },
}
WORKFLOW = {
    "last_node_id": 10,
    "last_link_id": 10,
    "nodes": [{"id": int(name), "type": node["class_type"]} for name, node in COMFYUI.items()],
    "links": [
        [1, 4, 0, 10, 0, "MODEL"],
        [2, 5, 0, 3, 3, "LATENT"],
        [3, 10, 1, 6, 0, "CLIP"],
        [4, 6, 0, 3, 1, "CONDITIONING"],
        [5, 10, 1, 7, 0, "CLIP"],
        [6, 7, 0, 3, 2, "CONDITIONING"],
        [7, 3, 0, 8, 0, "LATENT"],
        [8, 4, 2, 8, 1, "VAE"],
        [9, 8, 0, 9, 0, "IMAGE"],
        [10, 10, 0, 3, 0, "MODEL"],
        [11, 4, 1, 10, 1, "CLIP"],
    ],
    "version": 0.4,
}

INVOKEAI = {
    "app_version": "3.6.0",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a red apple",
    "negative_prompt": "blurry",
    "width": 64,
    "height": 64,
    "seed": 1234,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0,
    "steps": 4,
    "scheduler": "dpmpp_2m_k",
    "clip_skip": 0,
    "model": {"model_name": "emoji64", "base_model": "sdxl", "model_type": "main"},
    "loras": [],
    "vae": None,
}
INVOKEAI_5 = {
    **INVOKEAI,
    "app_version": "5.4.2",
    "scheduler": "euler_a",
    "model": {"key": "a1", "hash": "blake3:d0", "name": "emoji64", "base": "sdxl", "type": "main"},
    "loras": [{"model": {"name": "shiny"}, "weight": 0.75}],
    "seamless_x": True,
}
INVOKEAI_2 = {
    "model": "stable diffusion",
    "model_weights": "emoji64",
    "model_hash": "cc6cb27103",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.2.4",
    "image": {
        "type": "txt2img",
        "prompt": [{"prompt": "a red apple [blurry]", "weight": 1.0}],
        "steps": 4,
        "cfg_scale": 7.5,
        "sampler": "k_euler_a",
        "seed": 1234,
        "height": 64,
        "width": 64,
        "threshold": 0,
        "perlin": 0,
    },
}

TEXTS = {
    "AUTOMATIC1111": {"parameters": A1111},
    "ComfyUI": {"prompt": json.dumps(COMFYUI), "workflow": json.dumps(WORKFLOW)},
    "ComfyUI API": {"prompt": json.dumps(COMFYUI)},
    "InvokeAI": {"invokeai_metadata": json.dumps(INVOKEAI), "invokeai_graph": "{}"},
    "InvokeAI 5": {"invokeai_metadata": json.dumps(INVOKEAI_5), "invokeai_graph": "{}"},
    "InvokeAI 2": {"sd-metadata": json.dumps(INVOKEAI_2), "Dream": '"a red apple [blurry]" -s 4 -S 1234'},
}

MEANT: dict[str, dict[str, Any]] = {
    "AUTOMATIC1111": {
        "prompt": "a red apple on a blue background, <lora:shiny:0.8>",
        "negative": "blurry, lowres",
        "seed": 7,
        "guidance": 6.5,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
        "options": {"prompt": {"clip_skip": 1}},
    },
    "ComfyUI": {
        "prompt": "a red apple",
        "negative": "text, watermark",
        "seed": 156680208700286,
        "guidance": 8.0,
        "sampler": "euler_ancestral",
        "scheduler": "karras",
    },
    "InvokeAI": {
        "prompt": "a red apple",
        "negative": "blurry",
        "seed": 1234,
        "guidance": 7.5,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
    },
    "InvokeAI 5": {
        "prompt": "a red apple",
        "negative": "blurry",
        "seed": 1234,
        "guidance": 7.5,
        "sampler": "euler_ancestral",
    },
    "InvokeAI 2": {
        "prompt": "a red apple",
        "negative": "blurry",
        "seed": 1234,
        "guidance": 7.5,
        "sampler": "euler_ancestral",
    },
}

NOT_HONOURED = {
    "AUTOMATIC1111": [
        "VAE: fine.safetensors",
        "strength: 0.4; give the picture it started from by --image",
        "<lora:…> in the prompt is read as words",
    ],
    "ComfyUI": ["LoraLoader: [{'lora_name': 'shiny.safetensors', 'strength_model': 0.8}]"],
    "InvokeAI": [],
    "InvokeAI 5": ["loras: [{'model': {'name': 'shiny'}, 'weight': 0.75}]", "seamless_x: True"],
    "InvokeAI 2": [],
}
MEANT["ComfyUI API"], NOT_HONOURED["ComfyUI API"] = MEANT["ComfyUI"], NOT_HONOURED["ComfyUI"]


@pytest.mark.parametrize("program", TEXTS)
def test_the_picture_runs_as_far_as_it_can_and_the_rest_is_told(desk: "Desk", program: str) -> None:
    desk.grey("theirs.png", TEXTS[program])
    said = desk("replay", "theirs.png", "-o", "ours.png")
    assert (said.code, said.lines[0]) == (1, "different"), said.stderr
    lost = [line.removeprefix("not honoured: ") for line in said.lines if line.startswith("not honoured")]
    assert lost == NOT_HONOURED[program]
    assert said.lines[-1].startswith("pixels: ")
    with Host(config=Config()) as host:
        request = Request(task="txt2img", model="emoji", steps=4, width=64, height=64, **MEANT[program])
        expected = host.run(request).artifacts[0].open()
    with Image.open("ours.png") as ours:
        assert ours.tobytes() == expected.tobytes()


@pytest.mark.parametrize("program", TEXTS)
def test_info_says_what_the_program_wrote(desk: "Desk", program: str) -> None:
    desk.grey("theirs.png", TEXTS[program])
    told = json.loads(desk("info", "theirs.png", "--json").stdout)
    section = told[program.partition(" ")[0]]
    meant = MEANT[program]
    assert (section["prompt"], section["negative"]) == (meant["prompt"], meant["negative"])
    assert (int(section["seed"]), float(section["guidance"])) == (meant["seed"], meant["guidance"])
    assert (int(section["width"]), int(section["steps"])) == (64, 4)
    plain = desk("info", "theirs.png")
    assert f"  prompt: {meant['prompt']}" in plain.lines


def test_a_models_hash_of_another_program_is_compared(desk: "Desk") -> None:
    desk.make("txt2img", "a car", "--seed", 7, "-o", "made.png")
    true = desk.record("made.png")["applied"]["model"]["sha256"][:10]
    desk.grey("theirs.png", TEXTS["AUTOMATIC1111"])
    assert f"model hash: 31e35c80fc recorded, {true} here" in desk("replay", "theirs.png").lines


def test_our_text_alone_is_enough_for_an_equal_picture(desk: "Desk") -> None:
    more = ["--seed", 7, "--sampler", "ddim", "--scheduler", "karras", "--variation-strength", "0.25"]
    desk.make("txt2img", "a {red|blue} car", *more, "--negative", "green", "-o", "made.png")
    with Image.open("made.png") as made:
        text = made.info["parameters"]
    desk.retell("made.png", {"parameters": text})
    said = desk("replay", "made.png")
    assert (said.code, said.lines) == (0, ["equal"])


def test_an_image_makes_it_image_to_image_and_a_mask_inpainting(desk: "Desk") -> None:
    desk.inputs()
    text = A1111.replace(", <lora:shiny:0.8>", "").replace("VAE: fine.safetensors, ", "")
    more = [
        "--negative",
        "blurry, lowres",
        "--sampler",
        "dpmpp_2m",
        "--scheduler",
        "karras",
        "--guidance",
        6.5,
    ]
    more += ["--seed", 7, "--clip-skip", 1, "--strength", 0.4, "--image", "photo.png"]
    for task, mask in (("img2img", []), ("inpaint", ["--mask", "mask.png"])):
        desk.make(task, "a red apple on a blue background", *more, *mask, "-o", f"{task}.png")
        desk.retell(f"{task}.png", {"parameters": text})
        said = desk("replay", f"{task}.png", "--image", "photo.png", *mask)
        assert (said.code, said.lines[0], len(said.lines)) == (0, "equal", 2), said
        assert said.lines[1].startswith("model hash: 31e35c80fc recorded")


@pytest.mark.parametrize(
    ("sampler", "schedule", "lost"),
    [
        ("DPM++ 2M SDE Karras", None, []),
        ("DDIM", "Automatic", ["scheduler: Automatic"]),
        ("Restart", "Karras", ["sampler: Restart"]),
        ("LCM", "SGM Uniform", []),
    ],
)
def test_samplers_are_found_by_their_names_elsewhere(
    desk: "Desk", sampler: str, schedule: str | None, lost: list[str]
) -> None:
    levels = f", Schedule type: {schedule}" if schedule else ""
    text = f"a car\nSteps: 2, Sampler: {sampler}{levels}, CFG scale: 5, Seed: 1, Size: 64x64"
    desk.grey("theirs.png", {"parameters": text})
    told = json.loads(desk("replay", "theirs.png", "--json").stdout)
    assert told["lost"] == lost


def test_a_model_that_is_not_here_is_asked_for_and_no_other_is_taken(desk: "Desk") -> None:
    desk.grey("theirs.png", {"parameters": A1111.replace("Model: emoji64", "Model: sdxl-base")})
    said = desk("replay", "theirs.png")
    assert (said.code, said.stdout) == (2, "")
    assert "unknown model 'sdxl-base'; known: emoji, toy; give the picture's model by --model" in said.stderr
    assert desk("replay", "theirs.png", "--model", "emoji").code == 1
    assert not list(Path().glob("*.safetensors"))


def hires(desk: "Desk", *options: object) -> None:
    """Make `made.png` in two passes, and leave the text of AUTOMATIC1111 alone in it."""
    prompt = ["a red apple", "--seed", 7, "--sampler", "ddim", "--negative", "green, blue"]
    desk.make("hires", *prompt, *options, "-o", "made.png")
    with Image.open("made.png") as made:
        text = made.info["parameters"]
    desk.retell("made.png", {"parameters": text})


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (
            "--scale 1.5 --strength 0.5 --upscaler latent_nearest_exact",
            {
                "Size": "64x64",
                "Denoising strength": "0.5",
                "Hires upscale": "1.5",
                "Hires steps": "2",
                "Hires upscaler": "Latent (nearest-exact)",
            },
        ),
        (
            "--hires-width 80 --hires-height 96 --hires-sampler lcm --hires-steps 5 --exact-steps",
            {
                "Denoising strength": "0.7",
                "Hires resize": "80x96",
                "Hires steps": "5",
                "Hires sampler": "LCM",
            },
        ),
        (
            "--upscaler lanczos --hires-prompt pear,yellow --hires-guidance 3 --exact-steps",
            {"Hires upscale": "2", "Hires steps": "4", "Hires upscaler": "Lanczos", "Hires CFG Scale": "3.0"},
        ),
    ],
    ids=["scale", "resize", "prompt"],
)
def test_a_second_pass_is_written_and_read_again(desk: "Desk", options: str, written: dict[str, str]) -> None:
    hires(desk, *options.split())
    with Image.open("made.png") as made:
        (found,) = [ParserManager(normalize_parameters=False).parse(made)]
    assert found is not None
    told = {**found.metadata, **found.samplers[0].parameters}
    assert {key: str(told[key]) for key in written} == written
    said = desk("replay", "made.png")
    assert (said.code, said.lines) == (0, ["equal"]), said


def test_values_in_quotes_are_read_whole_and_nothing_in_them_is_a_setting(desk: "Desk") -> None:
    text = "a car\nSteps: 4, Sampler: Euler a, CFG scale: 5, Seed: 1, Size: 64x64, Model: emoji64"
    more = r'Hires upscale: 1.5, Hires prompt: "a \"red\" car, Seed: 2, Steps: 9", Denoising strength: 0.5'
    desk.grey("theirs.png", {"parameters": f"{text}, {more}"})
    assert desk("replay", "theirs.png", "-o", "ours.png").code == 1
    asked = desk.record("ours.png")["request"]
    assert (asked["seed"], asked["steps"]) == (1, 4)
    assert asked["options"]["hires"]["prompt"] == 'a "red" car, Seed: 2, Steps: 9'


def test_a_second_pass_of_another_program_runs_all_its_steps(desk: "Desk") -> None:
    text = "a car\nSteps: 4, Sampler: Euler a, CFG scale: 5, Seed: 1, Size: 64x64, Model: emoji64"
    more = "Denoising strength: 0.5, Hires upscale: 1.5, Hires upscaler: R-ESRGAN 4x+"
    desk.grey("theirs.png", {"parameters": f"{text}, {more}"})
    said = desk("replay", "theirs.png", "-o", "ours.png")
    assert "not honoured: Hires upscaler: R-ESRGAN 4x+" in said.lines, said
    told = desk.record("ours.png")
    assert told["request"]["task"] == "hires"
    assert told["applied"]["hires"]["steps"] == 4
    assert told["applied"]["hires"]["size"] == [96, 96]
