"""An image of a batch is its single run to the last bit, with the noise of the Stable Diffusion family."""

from typing import Any

import pytest
from torch import Tensor

import latentry_samplers
from latentry_sdk import SamplerSpec
from latentry_stable_diffusion.noise import BrownianNoise, SeededNoise

SPECS = {spec.name: spec for spec in latentry_samplers.register_samplers()}
SIGMAS = (*(14.6 * 0.6**i for i in range(10)), 0.0)
SHAPE = (4, 8, 8)
SEEDS = range(40, 48)


def denoise(x: Tensor, sigma: float) -> Tensor:
    """A model that looks at each value alone, by operations that round alike wherever the value lies."""
    return x / (1 + sigma * sigma + x * x)


def unguided(x: Tensor, sigma: float) -> Tensor:
    """What it sees without a prompt."""
    return x / (2 + sigma * sigma)


def end(spec: SamplerSpec, seeds: range, **options: float) -> Tensor:
    noise: SeededNoise | BrownianNoise = SeededNoise(seeds, SHAPE, "cpu")
    if spec.stochastic == "brownian":
        noise = BrownianNoise(seeds, SHAPE, "cpu", SIGMAS[0])
    given: dict[str, Any] = {"noise": noise.between} if spec.stochastic else {}
    given |= {"unguided": unguided} if spec.unguided else {}
    found: Tensor = spec.sample(denoise, noise.initial() * SIGMAS[0], SIGMAS, **given, **options)
    return found


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_each_image_of_a_batch_equals_its_single_run(spec: SamplerSpec) -> None:
    alone = [end(spec, SEEDS[i : i + 1])[0] for i in range(len(SEEDS))]
    assert len({tuple(image.flatten().tolist()) for image in alone}) == len(SEEDS)
    for size in (1, 3, 8):
        for image, single in zip(end(spec, SEEDS[:size]), alone, strict=False):
            assert image.isfinite().all()
            assert image.equal(single)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_images_that_take_other_numbers_of_steps_have_their_own_noise(size: int) -> None:
    """An image's n-th step has its n-th noise, however many the others take."""
    spec, options = SPECS["dpm_adaptive"], {"eta": 0.8, "rtol": 0.002}
    alone = [end(spec, SEEDS[i : i + 1], **options)[0] for i in range(size)]
    assert all(map(Tensor.equal, end(spec, SEEDS[:size], **options), alone))


@pytest.mark.parametrize("name", ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"])
def test_more_steps_come_closer_to_one_picture(name: str) -> None:
    """A seed's Brownian motion is the same in any number of steps; independent draws are not."""

    def way(steps: int) -> Tensor:
        ratio = 0.05 / SIGMAS[0]
        sigmas = (*(SIGMAS[0] * ratio ** (i / steps) for i in range(steps + 1)), 0.0)
        noise = BrownianNoise(SEEDS[:1], SHAPE, "cpu", SIGMAS[0])
        found: Tensor = SPECS[name].sample(
            lambda x, sigma: x / (1 + sigma**2), noise.initial() * SIGMAS[0], sigmas, noise=noise.between
        )
        return found

    coarse, fine, finest = way(10), way(40), way(160)
    assert (fine - finest).std() < (coarse - finest).std() / 2
    assert (fine - finest).std() < finest.std() / 10
