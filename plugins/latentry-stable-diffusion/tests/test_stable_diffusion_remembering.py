"""What a UNet makes of timesteps, of SDXL's sizes and of prompts is computed once a job."""

from collections import Counter
from copy import deepcopy

import pytest
import torch
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from latentry_sdk import DENOISE, JOB, PLACED
from latentry_sdk.testing.fingerprints import changes, fingerprint
from latentry_sdk.torch_placed import TorchModule
from latentry_stable_diffusion import denoising
from latentry_stable_diffusion.embedding import EmbeddingCache
from latentry_stable_diffusion.prompts import encode_prompt
from latentry_stable_diffusion.remembering import (
    MOST,
    PARTS,
    remember_embeddings,
    remembering,
    remembering_last,
    text_layers,
)

denoise = denoising.stage("denoise").run

ASKED = {"prompt": "a cat", "negative": "a dog", "guidance": 5.0, "size": (16, 16), "seeds": (1, 2)}
SIGMAS = (10.0, 5.0, 10.0, 1.0, 5.0)
TIMES, ADDED, TEXT = "time_embedding", "add_embedding", "text"
TEXTS = {f"{TEXT} {index}": 1 for index in range(8)}
"""Each of the tiny UNets has four layers of cross-attention, with keys and values."""


class Converted:
    """A placed component that gives no module."""

    home, dtype = "cpu", "float32"

    def __init__(self, placed):
        self.placed = placed

    def __call__(self, *arrays):
        return self.placed(*arrays)


class Caller:
    """Calls a module, and is of no use once a stage has taken it."""

    def __init__(self, module):
        self.module = module

    def __call__(self, *arrays):
        return self.module(*arrays)

    def given_away(self):
        raise AssertionError("the module was taken")


def seen(state):
    """What the denoiser makes of two images at each of `SIGMAS`."""
    see = denoise(encode_prompt(state, EmbeddingCache()))[DENOISE]
    x = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return [see(x * sigma, sigma) for sigma in SIGMAS]


class Counting(TorchFunctionMode):
    """Counts how often torch multiplies by weights, by their names."""

    def __init__(self, names):
        self.names, self.found = names, Counter()

    def __torch_function__(self, func, _types, given=(), named=None):
        if func is linear and id(given[1]) in self.names:
            self.found[self.names[id(given[1])]] += 1
        return func(*given, **(named or {}))


def calls(state):
    """How often, for that, the first layers of the embeddings are computed, and keys and values of text."""
    unet = state[PLACED]["unet"].module.model
    layers = {name: getattr(unet, name).linear_1 for name in (TIMES, ADDED) if getattr(unet, name, None)}
    layers |= {f"{TEXT} {index}": layer for index, layer in enumerate(text_layers(unet))}
    with Counting({id(layer.weight): name for name, layer in layers.items()}) as counting:
        seen(state)
    return counting.found


@pytest.mark.parametrize(("name", "added"), [("sd1", {}), ("sdxl", {ADDED: 1}), ("sdxl-refiner", {ADDED: 1})])
def test_each_timestep_and_each_set_of_prompts_is_embedded_once(name, added, tiny, start):
    assert calls(start(tiny(name).folder, **ASKED)) == {TIMES: 3, **added, **TEXTS}


def test_other_prompts_are_embedded_anew(tiny, start):
    state = start(tiny("sdxl").folder, **ASKED)
    assert calls(state)[ADDED] == 1
    other = start(tiny("sdxl").folder, **{**ASKED, "prompt": "a tree"})
    assert calls(other) == {ADDED: 1, **TEXTS}


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl", "sdxl-refiner"])
@pytest.mark.parametrize("at_once", [1, 2])
def test_every_bit_is_what_it_is_without(name, at_once, tiny, start):
    state = start(tiny(name).folder, at_once=at_once, **ASKED)
    found = seen(state)
    state[JOB].undos.close()
    placed = {**state[PLACED], "unet": Converted(state[PLACED]["unet"])}
    assert all(map(torch.equal, found, seen(state.put(PLACED, placed))))


def test_nothing_is_left_behind(tiny, start):
    state = start(tiny("sdxl").folder, **ASKED)
    module = state[PLACED]["unet"].module
    before = fingerprint(module)
    seen(state)
    changed = {
        change.removesuffix(".forward").rpartition(".")[2] for change in changes(before, fingerprint(module))
    }
    assert changed == {*PARTS, "to_k", "to_v"}
    state[JOB].undos.close()
    assert changes(before, fingerprint(module)) == []


def test_a_second_pass_in_the_same_job_remembers_the_first(tiny, start):
    state = start(tiny("sdxl").folder, **ASKED)
    before = fingerprint(state[PLACED]["unet"].module)
    assert calls(state) == {TIMES: 3, ADDED: 1, **TEXTS}
    assert calls(state) == {}
    state[JOB].undos.close()
    assert changes(before, fingerprint(state[PLACED]["unet"].module)) == []


def test_a_unet_whose_call_was_changed_is_left_alone(tiny, start):
    state = start(tiny("sd1").folder, **ASKED)
    module = state[PLACED]["unet"].module
    module.forward = module.forward  # as compiling does
    try:
        before = fingerprint(module)
        seen(state)
        assert changes(before, fingerprint(module)) == []
    finally:
        del module.forward


def test_what_is_kept_is_bounded_and_told_apart_by_every_bit():
    asked = []

    def compute(array, _condition=None):
        asked.append(array)
        return array * 2

    compute = remembering(compute)
    zero = torch.zeros(2)
    for array in (zero, -zero, zero.bool(), zero[None], zero, torch.tensor([0, 7.0, 0])[::2]):
        assert torch.equal(compute(array, None), array * 2)
    assert len(asked) == 4
    for value in range(MOST):
        compute(torch.tensor([value + 1.0]))
    compute(zero, None)
    assert len(asked) == 5 + MOST


def test_of_texts_the_last_is_kept_and_told_apart_by_value_and_type():
    asked = []

    def compute(text):
        asked.append(text)
        return text * 2

    compute = remembering_last(compute)
    first, second = torch.ones(1, 3, 2), torch.zeros(1, 3, 2)
    for text in (first, first, first.clone(), second, first, first.bfloat16(), first[:, :1]):
        assert torch.equal(compute(text), text * 2)
        assert compute(text).dtype == text.dtype
    assert len(asked) == 5


def test_cross_attention_that_norms_its_text_is_left_alone(tiny, start):
    unet = deepcopy(start(tiny("sd1").folder, **ASKED)[PLACED]["unet"].module)  # others use it as it is
    attention = next(part for part in unet.modules() if getattr(part, "is_cross_attention", False))
    before = len([*text_layers(unet)])
    attention.norm_cross = torch.nn.LayerNorm(32)
    assert len([*text_layers(unet)]) == before - 2


@pytest.mark.parametrize("home", ["cpu", "cuda:0"])
def test_where_calls_are_recorded_the_module_is_not_even_taken(tiny, start, home):
    state = start(tiny("sd1").folder, **ASKED)
    unet = state[PLACED]["unet"].module
    recorded = TorchModule(unet, device="gpu", home=home, dtype=torch.float32, call=Caller(unet))
    remember_embeddings(state.put(PLACED, {**state[PLACED], "unet": recorded}))
    assert "forward" not in vars(unet.model.time_embedding)
