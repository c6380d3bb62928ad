"""The grey picture that stands for no mask is encoded once for jobs that are alike."""

from dataclasses import replace

import pytest
import torch

from latentry_sdk import JOB, PLACED, SIZE, Placement
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.grey import MOST, GreyPictures
from latentry_stable_diffusion.pictures import encode


class Counting:
    """A placed VAE encoder that counts its calls."""

    home, dtype = "cpu", "float32"

    def __init__(self, placed):
        self.placed, self.calls = placed, 0

    def __call__(self, *arrays):
        self.calls += 1
        return self.placed(*arrays)


@pytest.fixture
def make(start, tiny):
    """`make(**asked)`: a state whose encoder counts, the same one for all states of a test."""
    found = []

    def state(**asked):
        state = start(tiny("sd1-inpaint").folder, **{"size": (32, 16), **asked})
        found.append(found[0] if found else Counting(state[PLACED]["vae_encoder"]))
        return state.put(PLACED, {**state[PLACED], "vae_encoder": found[0]})

    return state


def calls(state):
    return state[PLACED]["vae_encoder"].calls


def test_it_is_what_the_vae_makes_of_grey(make):
    state = make()
    pixels = torch.zeros(1, 3, 16, 32)
    expected = encode(pixels, state[PLACED]["vae_encoder"], Details.of(state[JOB]))
    assert GreyPictures().latents(state).equal(expected)


def test_jobs_alike_share_it_whatever_they_draw(make):
    greys, first = GreyPictures(), make(prompt="a cat")
    assert greys.latents(first).equal(greys.latents(make(prompt="a dog", seeds=(7, 8), steps=3)))
    assert calls(first) == 1


def placed_elsewhere(state):
    job = state[JOB]
    elsewhere = {"vae_encoder": Placement("elsewhere")}
    return state.put(JOB, replace(job, plan=replace(job.plan, placements=elsewhere)))


@pytest.mark.parametrize(
    "other",
    [
        lambda make: make(size=(16, 32)),
        lambda make: make().put(SIZE, (16, 16)),
        lambda make: make(at_once=2),
        lambda make: placed_elsewhere(make()),
    ],
    ids=["size", "size of the state", "options", "place"],
)
def test_what_may_change_it_has_it_encoded_again(make, other):
    greys, first = GreyPictures(), make()
    greys.latents(first)
    greys.latents(other(make))
    assert calls(first) == 2


def test_the_least_recently_used_is_forgotten(make):
    greys, first = GreyPictures(), make()
    for index in range(MOST):
        greys.latents(make(size=(16, 16 * (index + 1))))
    greys.latents(make(size=(16, 16)))
    greys.latents(first)
    before = calls(first)
    greys.latents(make(size=(16, 16)))
    assert calls(first) == before
    greys.latents(make(size=(16, 32)))
    assert calls(first) == before + 1
