"""Weights in SDNQ's 8 and 4 bits, against SDNQ's own arithmetic."""

import tomllib
from pathlib import Path

import pytest
import torch

from latentry_sdk.testing import QuantizerSuite
from latentry_sdnq import SCHEMES, register_quantizers
from latentry_sdnq.codecs import codec, load_quantizer

SPEC = register_quantizers()[0]


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


class TestSuite(QuantizerSuite):
    """The kit's own questions."""

    @pytest.fixture
    def spec(self):
        return SPEC
