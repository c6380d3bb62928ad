import numpy as np
import pytest
import torch
from PIL import Image

from latentry_sdk import (
    DENOISE,
    IMAGES,
    JOB,
    KNOWN,
    LATENTS,
    MASK,
    MASK_LATENTS,
    MASKED_LATENTS,
    NOISE,
    SOURCE,
    Cancelled,
    InvalidModel,
    sigma_at,
)
from latentry_stable_diffusion import denoising, register_stages
from latentry_stable_diffusion.embedding import EmbeddingCache
from latentry_stable_diffusion.noise import noise
from latentry_stable_diffusion.pictures import decode, encode_image
from latentry_stable_diffusion.prompts import encode_prompt

denoise = denoising.stage("denoise").run


def picture(mode, size):
    channels = {"RGB": (3,), "L": ()}[mode]
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_pictures_equal_those_of_diffusers(tiny, start, name):
    pipeline = tiny(name).pipeline
    latents = torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    found = decode(start(tiny(name).folder).put(LATENTS, latents))[IMAGES]
    with torch.no_grad():
        pixels = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    wanted = pipeline.image_processor.postprocess(pixels, output_type="pil")
    assert [image.size for image in found] == [(24, 16)] * 2
    for image, right in zip(found, wanted, strict=True):
        assert np.abs(np.asarray(image, int) - np.asarray(right, int)).max() <= 1


def test_configured_mean_and_deviation_are_used_both_ways(tiny, start, with_details):
    changed = {"latents_mean": (1.0, 2.0, 3.0, 4.0), "latents_std": (2.0,) * 4}
    state = start(tiny("sd1").folder).put(SOURCE, picture("RGB", (16, 16)))
    plain = encode_image(state)[KNOWN]
    other = encode_image(with_details(state, **changed))[KNOWN]
    mean = torch.tensor(changed["latents_mean"]).view(1, 4, 1, 1)
    torch.testing.assert_close(other, (plain / 0.3 - mean) * 0.3 / 2)
    pictures = [
        decode(state.put(LATENTS, plain))[IMAGES],
        decode(with_details(state, **changed).put(LATENTS, other))[IMAGES],
    ]
    difference = np.subtract(*[np.asarray(images[0], int) for images in pictures])
    assert np.abs(difference).max() <= 1


def test_the_source_and_its_mask_follow_diffusers_rules(tiny, start):
    pipeline = tiny("sd1-inpaint").pipeline
    source, mask = picture("RGB", (24, 16)), picture("L", (24, 16))
    state = start(tiny("sd1-inpaint").folder, size=(24, 16)).put(SOURCE, source).put(MASK, mask)
    state = encode_image(state)
    pixels = pipeline.image_processor.preprocess(source)
    hard = (torch.from_numpy(np.array(mask)) / 255 >= 0.5).float()[None, None]
    with torch.no_grad():
        known = pipeline.vae.encode(pixels).latent_dist.mode() * 0.3
        masked = pipeline.vae.encode(pixels * (hard < 0.5)).latent_dist.mode() * 0.3
    torch.testing.assert_close(state[KNOWN], known)
    torch.testing.assert_close(state[MASKED_LATENTS], masked)
    small = torch.nn.functional.interpolate(hard, size=(8, 12))
    assert (state[MASK_LATENTS] >= 0.5).float().equal(small)
    assert len(state[MASK_LATENTS].unique()) > 2


def test_without_a_mask_all_may_change(tiny, start):
    state = encode_image(start(tiny("sd1").folder).put(SOURCE, picture("RGB", (16, 16))))
    assert state[MASK_LATENTS].equal(torch.ones(1, 1, 8, 8))
    with torch.no_grad():
        grey = tiny("sd1").pipeline.vae.encode(torch.zeros(1, 3, 16, 16)).latent_dist.mode() * 0.3
    torch.testing.assert_close(state[MASKED_LATENTS], grey)


def test_nan_latents_are_the_models_fault(tiny, start):
    latents = torch.zeros(1, 4, 8, 8).fill_(float("nan"))
    with pytest.raises(InvalidModel, match="the model gave NaN"):
        decode(start(tiny("sd1").folder).put(LATENTS, latents))


def test_decoding_stops_when_cancelled(tiny, start):
    state = start(tiny("sd1").folder).put(LATENTS, torch.zeros(1, 4, 8, 8))
    state[JOB].cancel()
    with pytest.raises(Cancelled):
        decode(state)


def test_every_role_is_a_stage(family):
    assert set(family.roles.values()) == {stage.name for stage in register_stages()}


def test_stages_give_what_they_declare(tiny, start):
    state = start(tiny("sd1").folder, prompt="a").put(SOURCE, picture("RGB", (16, 16)))
    state = state.put(LATENTS, torch.zeros(1, 4, 8, 8))
    for stage in register_stages():
        assert all(key in state for key in stage.needs), stage.name
        state = stage.run(state)
        assert all(key in state for key in stage.gives), stage.name


def test_emoji64_draws_a_red_apple_on_blue(emoji64, start):
    state = start(emoji64, prompt="a red apple on a blue background", guidance=4.0, seeds=(3,))
    state = denoise(noise(encode_prompt(state, EmbeddingCache())))
    levels = state[JOB].plan.detected.model_range
    sigmas = [*(sigma_at(levels, 999 * (1 - i / 12)) for i in range(12)), 0.0]
    x = state[NOISE].initial() * sigmas[0]
    for i, now in enumerate(sigmas[:-1]):
        x = x + (x - state[DENOISE](x, now)) / now * (sigmas[i + 1] - now)
    (drawn,) = decode(state.put(LATENTS, x))[IMAGES]
    pixels = np.asarray(drawn, int)
    assert pixels.shape == (64, 64, 3)
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        red, green, blue = pixels[y, x]
        assert blue > red + 60
        assert blue > green + 60
    middle = pixels[24:44, 24:40].mean(axis=(0, 1))
    assert middle[0] > middle[2] + 30
