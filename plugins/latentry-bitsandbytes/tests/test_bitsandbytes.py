"""Weights in bitsandbytes' 8 and 4 bits, against bitsandbytes' own layers."""

import subprocess
import sys

import pytest
import torch

from latentry_bitsandbytes import register_quantizers
from latentry_bitsandbytes.codecs import codec, load_functions
from latentry_sdk.testing import QuantizerSuite

SPEC = register_quantizers()[0]


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


class TestSuite(QuantizerSuite):
    """The kit's own questions."""

    @pytest.fixture
    def spec(self):
        return SPEC
