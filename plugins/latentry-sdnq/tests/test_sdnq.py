"""Weights in SDNQ's 8 and 4 bits, against SDNQ's own arithmetic."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentry_sdk import Host, Request, UnknownName
from latentry_sdk.quantizing import packed_layers, size_of, unfilled
from latentry_sdk.testing.parts import PARTS, make_part
from latentry_sdnq import SCHEMES, quantize, register_quantizers
from latentry_sdnq.codecs import codec, load_quantizer

SPEC = register_quantizers()[0]


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


LAYERS = [
    torch.nn.Linear(256, 48),
    torch.nn.Linear(80, 34),
    torch.nn.Conv2d(32, 48, 3),
    torch.nn.Conv2d(256, 16, 3),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_weights_are_those_that_sdnq_makes_of_them(layer, scheme):
    weight, kind = layer.weight.detach(), type(layer).__name__
    dequantize, own = load_quantizer().sdnq_quantize_layer_weight(weight, kind, weights_dtype=scheme)
    expected = dequantize(**own, skip_compile=True).clone()
    found = codec(scheme)
    adopted = found.adopt(
        {name: tensor for name, tensor in own.items() if tensor is not None}, tuple(weight.shape)
    )
    for kept in (found.pack(weight), adopted):
        torch.testing.assert_close(
            found.unpack(kept, weight.shape, torch.float32), expected, rtol=1e-6, atol=1e-6
        )


def test_what_is_stored_in_another_way_is_refused():
    kept = codec("int8").pack(torch.randn(32, 64))
    with pytest.raises(ValueError, match="SDNQ stored svd_up, which is not read"):
        codec("int8").adopt({**kept, "svd_up": torch.ones(1)}, (32, 64))


def test_no_other_distribution_needs_it():
    for file in Path(__file__).parents[2].glob("*/pyproject.toml"):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        if project["name"] == "latentry-sdnq":
            assert project["license"] == "GPL-3.0-only"
        else:
            assert "sdnq" not in str(project.get("dependencies")) + str(project.get("optional-dependencies"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PARTS)
def test_each_component_stays_within_the_declared_error(name, scheme):
    part = make_part(name)
    found = quantize(part.component, scheme)
    given = part.arguments(1, (8, 8))
    with torch.inference_mode():
        assert 1e-4 < distance(found.module(*given), part.component.module(*given)) < SPEC.errors[scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_declared_bits_are_what_a_weight_takes(scheme):
    layer = torch.nn.Linear(1280, 640, bias=False)
    kept = codec(scheme).pack(layer.weight.detach())
    taken = 8 * sum(tensor.nbytes for tensor in kept.values()) / layer.weight.numel()
    assert taken == pytest.approx(SPEC.bits[scheme], rel=0.03)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_stored_component_is_the_same_again(scheme):
    part = make_part("sdxl.unet")
    first = quantize(part.component, scheme)
    stored = first.module.state_dict()
    empty = unfilled(part.component.module, stored)
    again = quantize(replace(part.component, module=empty, stored=lambda: stored), scheme)
    assert size_of(again.module) == size_of(first.module)
    given = part.arguments(1, (8, 8))
    with torch.inference_mode():
        assert torch.equal(again.module(*given), first.module(*given))


def test_a_stored_weight_of_another_shape_is_refused():
    for scheme, wrong in (("int8", (48, 255)), ("uint4", (48, 300))):
        kept = codec(scheme).pack(torch.randn(48, 256))
        with pytest.raises(ValueError, match="shape"):
            codec(scheme).adopt(kept, wrong)


def test_a_host_draws_with_it_and_says_so():
    asked = Request(task="txt2img", prompt="a red apple", steps=2, seed=1, quantize={"unet": "sdnq:int8"})
    with Host() as host:
        result = host.run(asked)
        assert result.applied["quantizers"] == {"unet": "sdnq:int8"}
        with pytest.raises(UnknownName, match="unknown scheme of sdnq 'int3'"):
            host.plan(asked.model_copy(update={"quantize": {"unet": "sdnq:int3"}}))


def test_a_cast_leaves_the_packed_numbers_alone():
    part = make_part("sd.unet")
    found = quantize(part.component, "int8").module.to(torch.bfloat16)
    assert {layer.kept()["weight"].dtype for _, layer in packed_layers(found)} == {torch.int8}
