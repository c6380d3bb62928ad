"""Weights in quanto's 8 and 4 bits, against quanto's own layers."""

from dataclasses import replace

import pytest
import torch

from latentry_quanto import SCHEMES, quantize, register_quantizers
from latentry_quanto.codecs import codec, load_quanto
from latentry_sdk import Host, Request, UnknownName
from latentry_sdk.quantizing import packed_layers, size_of, unfilled
from latentry_sdk.testing.parts import PARTS, make_part

SPEC = register_quantizers()[0]
KINDS = {"int8": "qint8", "int4": "qint4", "float8": "qfloat8"}


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


def quantos_own(layer, scheme):
    quanto = load_quanto()
    kind = quanto.QLinear if isinstance(layer, torch.nn.Linear) else quanto.QConv2d
    made = kind.from_module(layer, weights=getattr(quanto, KINDS[scheme]))
    made.freeze()
    return made


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "layer", [torch.nn.Linear(256, 48), torch.nn.Linear(80, 33), torch.nn.Conv2d(32, 48, 3)], ids=str
)
def test_weights_are_those_of_quantos_own_layer(layer, scheme):
    found = codec(scheme)
    kept = found.pack(layer.weight.detach())
    own = quantos_own(layer, scheme)
    expected = own.weight.dequantize()
    torch.testing.assert_close(found.unpack(kept, layer.weight.shape, torch.float32), expected)
    stored = {name: tensor for name, tensor in own.state_dict().items() if name != "bias"}
    assert kept.keys() <= stored.keys()
    adopted = found.adopt(stored, tuple(layer.weight.shape))
    torch.testing.assert_close(found.unpack(adopted, layer.weight.shape, torch.float32), expected)


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
    asked = Request(task="txt2img", prompt="a red apple", steps=2, seed=1, quantize={"unet": "quanto:int8"})
    with Host() as host:
        result = host.run(asked)
        assert result.applied["quantizers"] == {"unet": "quanto:int8"}
        with pytest.raises(UnknownName, match="unknown scheme of quanto 'int3'"):
            host.plan(asked.model_copy(update={"quantize": {"unet": "quanto:int3"}}))


def test_a_cast_leaves_the_packed_numbers_alone():
    part = make_part("sd.unet")
    found = quantize(part.component, "int8").module.to(torch.bfloat16)
    assert {layer.kept()["weight._data"].dtype for _, layer in packed_layers(found)} == {torch.int8}
