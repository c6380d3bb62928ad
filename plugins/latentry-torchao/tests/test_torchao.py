"""Weights in torchao's 8 and 4 bits, against torchao's own arithmetic."""

import pytest
import torch

from latentry_sdk.testing import QuantizerSuite
from latentry_sdk.testing.closeness import relative
from latentry_torchao import register_quantizers
from latentry_torchao.codecs import codec, load_primitives

SPEC = register_quantizers()[0]


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
        assert 1e-4 < relative(product, exact) < 0.02
    torchao.quantize_(layer, torchao.Int8DynamicActivationInt8WeightConfig())
    with torch.inference_mode():
        torch.testing.assert_close(product, layer(x), rtol=1e-4, atol=1e-4)


class TestSuite(QuantizerSuite):
    """The kit's own questions."""

    @pytest.fixture
    def spec(self):
        return SPEC
