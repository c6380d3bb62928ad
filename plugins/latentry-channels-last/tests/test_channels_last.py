"""Filters in channels-last order: really in it, with the same numbers, and back afterwards."""

import pytest
import torch

from latentry_channels_last import register_optimizers, reorder
from latentry_sdk import DeviceSpec, Unavailable
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import make_part

SPEC = register_optimizers()[0]


def here():
    return HERE_SPEC.open(HERE_SPEC.options())


def strides(module):
    return [weight.stride() for weight in module.parameters()]


@pytest.mark.parametrize("name", ["sd.unet", "sdxl.unet", "sd.vae_encoder", "sd.vae_decoder"])
def test_filters_and_what_convolutions_give_are_in_that_order_until_the_undo(name):
    part, device = make_part(name), here()
    before = strides(part.component.module)
    weights = [weight.clone() for weight in part.component.module.parameters()]
    arguments = part.arguments(1, (8, 8))
    with torch.inference_mode():
        plain = part.component.module(*arguments)
    component, undo = reorder(part.component, device)
    filters = [
        weight for weight in component.module.parameters() if weight.dim() == 4 and weight.shape[1] > 1
    ]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in filters)
    orders = []
    for layer in component.module.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.register_forward_hook(
                lambda _, __, out: orders.append(out.is_contiguous(memory_format=torch.channels_last))
            )
    placed = device.place(component, None)
    with torch.inference_mode():
        found = placed(*arguments)
    assert orders
    assert all(orders)
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-5)
    undo()
    assert strides(part.component.module) == before
    assert all(map(torch.equal, part.component.module.parameters(), weights))


def test_a_device_that_converts_and_a_part_without_filters_are_refused():
    with pytest.raises(Unavailable, match="the device of unet converts them"):
        reorder(make_part("sd.unet").component, object())
    with pytest.raises(Unavailable, match="no filters of its own"):
        reorder(make_part("sd.text_encoder").component, here())


class TestSuite(OptimizerSuite):
    """The kit's own questions."""

    def devices(self) -> "list[DeviceSpec]":
        return [HERE_SPEC]

    @pytest.fixture
    def spec(self):
        return SPEC
