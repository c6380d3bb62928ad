"""Weights in bitsandbytes' 8 and 4 bits, against bitsandbytes' own layers."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from latentry_bitsandbytes import SCHEMES, quantize, register_quantizers
from latentry_bitsandbytes.codecs import codec, load_functions
from latentry_sdk import Host, Request, UnknownName
from latentry_sdk.quantizing import packed_layers, size_of, unfilled
from latentry_sdk.testing.parts import PARTS, make_part

SPEC = register_quantizers()[0]


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


def bitsandbytes_own(layer, scheme, **options):
    """A layer of bitsandbytes' own with the weight of `layer`."""
    load_functions()
    from bitsandbytes import nn

    if scheme == "int8":
        made = nn.Linear8bitLt(layer.in_features, layer.out_features, has_fp16_weights=False)
    else:
        made = nn.Linear4bit(layer.in_features, layer.out_features, quant_type=scheme, **options)
    made.load_state_dict(layer.state_dict())
    return made.to("cpu")


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("scheme", ["nf4", "fp4"])
@pytest.mark.parametrize("sides", [(256, 48), (81, 33)])
def test_4_bits_are_those_of_bitsandbytes_own_layer(sides, scheme, nested):
    layer, found = torch.nn.Linear(*sides), codec(scheme)
    own = bitsandbytes_own(layer, scheme, compress_statistics=nested)
    functions = load_functions()
    expected = functions.dequantize_4bit(own.weight.data, own.weight.quant_state)
    stored = {name: tensor for name, tensor in own.state_dict().items() if name != "bias"}
    adopted = found.adopt(stored, tuple(layer.weight.shape))
    torch.testing.assert_close(found.unpack(adopted, layer.weight.shape, torch.float32), expected)
    kept = found.pack(layer.weight.detach())
    assert kept.keys() == adopted.keys()
    if not nested:
        assert all(torch.equal(kept[name], stored[name]) for name in stored)


@pytest.mark.parametrize("scheme", ["nf4", "fp4"])
def test_the_weight_is_the_papers_map_times_the_largest_of_64_values(scheme):
    weight = torch.randn(24, 16, 3, 3)
    kept = codec(scheme).pack(weight)
    numbers = torch.stack([kept["weight"] >> 4, kept["weight"] & 15], -1).flatten().long()
    blocks = kept["weight.quant_map"][numbers].reshape(-1, 64) * weight.reshape(-1, 64).abs().amax(
        1, keepdim=True
    )
    torch.testing.assert_close(
        codec(scheme).unpack(kept, weight.shape, torch.float32), blocks.reshape(weight.shape)
    )


def test_8_bits_are_those_of_bitsandbytes_own_layer():
    layer, found = torch.nn.Linear(256, 48), codec("int8")
    own = bitsandbytes_own(layer, "int8")
    stored = {name: tensor for name, tensor in own.state_dict().items() if name != "bias"}
    kept = found.pack(layer.weight.detach())
    assert kept.keys() == stored.keys()
    torch.testing.assert_close(
        kept["SCB"], stored["SCB"], rtol=1e-3, atol=0
    )  # theirs rounds to float16 first
    assert (kept["weight"].int() - stored["weight"].int()).abs().max() <= 1
    adopted = found.adopt(stored, (48, 256))
    unpacked = found.unpack(adopted, (48, 256), torch.float32)
    torch.testing.assert_close(unpacked, own.weight.data.float() * own.weight.SCB[:, None] / 127)


def test_the_library_is_imported_without_what_fetches_code():
    code = """if True:
        import sys, types
        class Kernels(types.ModuleType):
            def __getattr__(self, name):
                raise SystemExit("it asked for compiled code")
        before = sys.modules["kernels"] = Kernels("kernels")
        from latentry_bitsandbytes.codecs import load_functions
        load_functions()
        assert sys.modules["kernels"] is before
    """
    subprocess.run([sys.executable, "-c", code], check=True)


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
    for scheme, wrong in (("int8", (48, 255)), ("nf4", (48, 300))):
        kept = codec(scheme).pack(torch.randn(48, 256))
        with pytest.raises(ValueError, match="shape"):
            codec(scheme).adopt(kept, wrong)


def test_a_host_draws_with_it_and_says_so():
    asked = Request(
        task="txt2img", prompt="a red apple", steps=2, seed=1, quantize={"unet": "bitsandbytes:int8"}
    )
    with Host() as host:
        result = host.run(asked)
        assert result.applied["quantizers"] == {"unet": "bitsandbytes:int8"}
        with pytest.raises(UnknownName, match="unknown scheme of bitsandbytes 'int3'"):
            host.plan(asked.model_copy(update={"quantize": {"unet": "bitsandbytes:int3"}}))


def test_a_cast_leaves_the_packed_numbers_alone():
    part = make_part("sd.unet")
    found = quantize(part.component, "int8").module.to(torch.bfloat16)
    assert {layer.kept()["weight"].dtype for _, layer in packed_layers(found)} == {torch.int8}
