"""Components with packed weights: what they compute, what they keep, and what of them can be stored."""

import copy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from latentry_sdk import InvalidModel
from latentry_sdk.quantizing import Codec, layers, packed_layers, quantized, size_of, unfilled
from latentry_sdk.testing.parts import PARTS, make_part


def pack(weight):
    scale = weight.abs().amax(tuple(range(1, weight.dim())), keepdim=True) / 127
    return {"weight": (weight / scale).round().to(torch.int8), "weight.scale": scale}


def unpack(kept, shape, dtype):
    return (kept["weight"].to(dtype) * kept["weight.scale"].to(dtype)).reshape(shape)


ROWS = Codec(pack, unpack)


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


@pytest.fixture(scope="module")
def unet():
    return make_part("sdxl.unet")


@pytest.mark.parametrize("name", PARTS)
def test_a_packed_component_computes_with_the_weights_that_its_codec_gives_back(name):
    part = make_part(name)
    found = quantized(part.component, ROWS, "rows")
    by_hand = copy.deepcopy(part.component.module)
    for _, layer in layers(by_hand):
        if min(layer.weight.shape[:2]) >= 16:
            layer.weight.data = unpack(pack(layer.weight), layer.weight.shape, torch.float32)
    given = part.arguments(2, (8, 8))
    with torch.inference_mode():
        assert distance(found.module(*given), by_hand(*given)) == 0
        assert 0 < distance(found.module(*given), part.component.module(*given)) < 0.05


def test_the_given_component_stays_as_it_is_and_has_another_digest(unet):
    before = unet.component.digest()
    found = quantized(unet.component, ROWS, "rows")
    assert unet.component.digest() == before
    assert len({before, found.digest(), quantized(unet.component, ROWS, "others").digest()}) == 3
    assert found.digest() == quantized(unet.component, ROWS, "rows").digest()


def test_all_layers_are_packed_but_those_with_few_inputs_or_outputs(unet):
    packed = dict(packed_layers(quantized(unet.component, ROWS, "rows").module))
    all_of_them = dict(layers(unet.component.module))
    assert {name.rsplit(".", 1)[-1] for name in all_of_them.keys() - packed.keys()} == {"conv_in", "conv_out"}
    assert {type(layer).__mro__[2].__name__ for layer in packed.values()} == {"Linear", "Conv2d"}
    name, layer = next(iter(packed.items()))
    torch.testing.assert_close(layer.weight, all_of_them[name].weight, rtol=0, atol=0.01)


def test_it_takes_a_quarter_of_the_room(unet):
    assert size_of(quantized(unet.component, ROWS, "rows").module) < 0.32 * size_of(unet.component.module)


def test_no_weight_is_copied_that_is_replaced(unet):
    copied = []

    class Watched(torch.nn.Parameter):
        def __deepcopy__(self, memo):
            copied.append(self.shape)
            return super().__deepcopy__(memo)

    module = copy.deepcopy(unet.component.module)
    for _, layer in packed_layers(quantized(replace(unet.component, module=module), ROWS, "rows").module):
        assert "weight" not in layer._parameters
    for name, layer in layers(module):
        if "conv_in" not in name and "conv_out" not in name:
            layer.weight = Watched(layer.weight, requires_grad=False)
    quantized(replace(unet.component, module=module), ROWS, "rows")
    assert copied == []


@pytest.mark.parametrize("name", PARTS)
def test_what_is_stored_is_read_again_to_the_last_bit(name):
    part = make_part(name)
    first = quantized(part.component, ROWS, "rows")
    stored = load(save({key: value.contiguous() for key, value in first.module.state_dict().items()}))
    empty = replace(part.component, module=unfilled(part.component.module, stored), stored=lambda: stored)
    again = quantized(empty, ROWS, "rows")
    assert again.stored is None
    given = part.arguments(1, (8, 8))
    with torch.inference_mode():
        assert distance(again.module(*given), first.module(*given)) == 0
    first.module.load_state_dict(stored)


def test_stored_tensors_that_do_not_fit_are_refused(unet):
    stored = dict(quantized(unet.component, ROWS, "rows").module.state_dict())

    def filled(tensors):
        module = unfilled(unet.component.module, tensors)
        return quantized(replace(unet.component, module=module, stored=lambda: tensors), ROWS, "rows")

    with pytest.raises(InvalidModel, match=r"lacks 1 tensors, such as model\.conv_in\.bias"):
        filled({name: tensor for name, tensor in stored.items() if name != "model.conv_in.bias"})
    strict = Codec(
        pack, unpack, lambda kept, _shape: {name: kept[name] for name in ("weight", "weight.scale")}
    )
    tensors = {name: tensor for name, tensor in stored.items() if not name.endswith("to_q.weight.scale")}
    module = unfilled(unet.component.module, tensors)
    with pytest.raises(InvalidModel, match=r"does not fit: 'weight\.scale'"):
        quantized(replace(unet.component, module=module, stored=lambda: tensors), strict, "rows")


def test_it_can_be_made_in_inference_mode_and_used_outside(unet):
    with torch.inference_mode():
        module = copy.deepcopy(unet.component.module)
        found = quantized(replace(unet.component, module=module), ROWS, "rows")
    with torch.no_grad():
        given = unet.arguments(1, (8, 8))
        assert distance(found.module(*given), module(*given)) < 0.05


def test_a_product_of_the_codecs_own_is_used_for_linear_layers(unet):
    seen = []

    def product(x, kept, bias):
        seen.append(kept["weight"].dtype)
        return torch.nn.functional.linear(x, kept["weight"].to(x.dtype) * kept["weight.scale"], bias)

    found = quantized(unet.component, Codec(pack, unpack, linear=product), "rows")
    given = unet.arguments(1, (8, 8))
    with torch.inference_mode():
        expected = quantized(unet.component, ROWS, "rows").module(*given)
        torch.testing.assert_close(found.module(*given), expected)
    assert set(seen) == {torch.int8}
