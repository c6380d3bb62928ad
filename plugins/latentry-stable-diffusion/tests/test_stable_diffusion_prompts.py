import pytest
import torch

from latentry_sdk import CONDITIONING, JOB
from latentry_stable_diffusion.prompts import encode_prompt

PROMPT = "a photo of a cat, highly detailed!"
LONG = "cat " * 90


def of_diffusers(pipeline, prompt, negative):
    """diffusers' embeddings: (cond, uncond, pooled, uncond pooled)."""
    with torch.no_grad():
        found = pipeline.encode_prompt(
            prompt=prompt,
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            negative_prompt=negative,
        )
    return (*found, None, None)[:4]


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl", "sdxl-refiner"])
@pytest.mark.parametrize("prompt", [PROMPT, "", LONG])
@pytest.mark.parametrize("negative", ["ugly, blurred", ""])
def test_embeddings_equal_those_of_diffusers(tiny, start, name, prompt, negative):
    state = encode_prompt(start(tiny(name).folder, prompt=prompt, negative=negative))
    found = state[CONDITIONING]
    cond, uncond, pooled, uncond_pooled = of_diffusers(tiny(name).pipeline, prompt, negative or None)
    torch.testing.assert_close(found.cond.hidden, cond)
    torch.testing.assert_close(found.uncond.hidden, uncond)
    if pooled is not None:
        torch.testing.assert_close(found.cond.pooled, pooled)
        torch.testing.assert_close(found.uncond.pooled, uncond_pooled)


def test_an_empty_negative_prompt_is_zeros_only_for_models_that_say_so(tiny, start):
    zeros = {
        name: not encode_prompt(start(tiny(name).folder, prompt="a"))[CONDITIONING].uncond.hidden.any()
        for name in ("sd1", "sdxl", "sdxl-refiner")
    }
    assert zeros == {"sd1": False, "sdxl": True, "sdxl-refiner": False}


def test_without_guidance_the_negative_prompt_is_not_encoded(tiny, start):
    state = encode_prompt(start(tiny("sd1").folder, prompt="a", negative="b", guidance=1))
    assert state[CONDITIONING].uncond is None


def test_what_is_cut_from_a_prompt_is_told_once(tiny, start):
    state = encode_prompt(start(tiny("sdxl").folder, prompt="cat " * 75 + "white dog"))
    assert state[JOB].warnings == ("the prompt is longer than 77 tokens; left out: white dog",)


def test_emoji64_is_encoded_as_diffusers_does(emoji64, start):
    from diffusers import StableDiffusionXLInpaintPipeline

    pipeline = StableDiffusionXLInpaintPipeline.from_pretrained(
        emoji64, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    prompt = "a red apple on a blue background"
    found = encode_prompt(start(emoji64, prompt=prompt))[CONDITIONING]
    cond, uncond, pooled, _ = of_diffusers(pipeline, prompt, None)
    torch.testing.assert_close(found.cond.hidden, cond)
    torch.testing.assert_close(found.uncond.hidden, uncond)
    torch.testing.assert_close(found.cond.pooled, pooled)
