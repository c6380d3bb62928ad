"""Weights in quanto's 8 and 4 bits, against quanto's own layers."""

import pytest
import torch

from latentry_quanto import SCHEMES, register_quantizers
from latentry_quanto.codecs import codec, load_quanto
from latentry_sdk.testing import QuantizerSuite

SPEC = register_quantizers()[0]
KINDS = {"int8": "qint8", "int4": "qint4", "float8": "qfloat8"}


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


class TestSuite(QuantizerSuite):
    """The kit's own questions."""

    @pytest.fixture
    def spec(self):
        return SPEC
