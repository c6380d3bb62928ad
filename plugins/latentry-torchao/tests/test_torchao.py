"""Weights in torchao's 8 and 4 bits, against torchao's own arithmetic."""

from dataclasses import replace

import pytest
import torch

from latentry_sdk import Host, Request, UnknownName
from latentry_sdk.quantizing import packed_layers, size_of, unfilled
from latentry_sdk.testing.parts import PARTS, make_part
from latentry_torchao import SCHEMES, quantize, register_quantizers
from latentry_torchao.codecs import codec, load_primitives

SPEC = register_quantizers()[0]


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


LAYERS = [torch.nn.Linear(256, 48), torch.nn.Linear(80, 33), torch.nn.Conv2d(32, 48, 3)]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_8_bits_are_those_of_torchaos_own_tensor(layer):
    torchao = pytest.importorskip("torchao.quantization")
    weight = layer.weight.detach()
    found = codec("int8")
    own = torchao.Int8Tensor.from_hp(weight.flatten(1), torchao.PerRow())
    unpacked = found.unpack(found.pack(weight), weight.shape, torch.float32)
    torch.testing.assert_close(unpacked.flatten(1), own.dequantize(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_4_bits_are_those_of_torchaos_own_arithmetic(layer):
    torchao = load_primitives()
    rows = layer.weight.detach().flatten(1)
    block = (1, 32 if rows.shape[1] % 32 == 0 else 16)
    scale, zero = torchao.choose_qparams_affine(
        rows, torchao.MappingType.ASYMMETRIC, block, torch.uint8, 0, 15
    )
    data = torchao.quantize_affine(rows, block, scale, zero, torch.uint8, 0, 15)
    expected = torchao.dequantize_affine(data, block, scale, zero, torch.uint8, 0, 15)
    found = codec("int4")
    unpacked = found.unpack(found.pack(layer.weight.detach()), layer.weight.shape, torch.float32)
    torch.testing.assert_close(unpacked.flatten(1), expected, rtol=1e-6, atol=1e-8)


def test_a_row_that_no_group_divides_keeps_its_weight():
    assert codec("int4").pack(torch.randn(32, 20)) is None


def test_dynamic_rounds_the_inputs_of_linear_layers_as_torchao_does():
    torchao = pytest.importorskip("torchao.quantization")
    layer, x = torch.nn.Sequential(torch.nn.Linear(64, 48)), torch.randn(2, 7, 64)
    found = codec("int8-dynamic")
    kept = found.pack(layer[0].weight.detach())
    with torch.inference_mode():
        product = found.linear(x, kept, layer[0].bias)
        exact = torch.nn.functional.linear(x, found.unpack(kept, (48, 64), torch.float32), layer[0].bias)
        assert 1e-4 < distance(product, exact) < 0.02
    torchao.quantize_(layer, torchao.Int8DynamicActivationInt8WeightConfig())
    with torch.inference_mode():
        torch.testing.assert_close(product, layer(x), rtol=1e-4, atol=1e-4)


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
    for scheme, wrong in (("int8", (48, 255)), ("int4", (48, 300))):
        kept = codec(scheme).pack(torch.randn(48, 256))
        with pytest.raises(ValueError, match="shape"):
            codec(scheme).adopt(kept, wrong)


def test_a_host_draws_with_it_and_says_so():
    asked = Request(task="txt2img", prompt="a red apple", steps=2, seed=1, quantize={"unet": "torchao:int8"})
    with Host() as host:
        result = host.run(asked)
        assert result.applied["quantizers"] == {"unet": "torchao:int8"}
        with pytest.raises(UnknownName, match="unknown scheme of torchao 'int3'"):
            host.plan(asked.model_copy(update={"quantize": {"unet": "torchao:int3"}}))


def test_a_cast_leaves_the_packed_numbers_alone():
    part = make_part("sd.unet")
    found = quantize(part.component, "int8").module.to(torch.bfloat16)
    assert {layer.kept()["weight.qdata"].dtype for _, layer in packed_layers(found)} == {torch.int8}
