"""Weights in fewer bits, and VAEs that overflow in half precision."""

from typing import ClassVar

import pytest
import torch

from latentry_layerwise import register_optimizers
from latentry_sdk import Component, InvalidRequest, Options
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.accelerator import fake_device
from latentry_sdk.testing.parts import make_part

SPECS = {spec.name: spec for spec in register_optimizers()}


class TestLayerwise(OptimizerSuite):
    """In 8 bits."""

    @pytest.fixture
    def spec(self):
        return SPECS["layerwise-casting"]


class TestUpcast(OptimizerSuite):
    """Computing in float32 already, it changes nothing."""

    options: ClassVar = {"always": True}

    @pytest.fixture
    def spec(self):
        return SPECS["vae-upcast"]


def matrices(module):
    return {
        part.weight.dtype for part in module.modules() if isinstance(part, torch.nn.Linear | torch.nn.Conv2d)
    }


@pytest.mark.parametrize(
    ("storage", "error"), [("float8_e4m3fn", 0.1), ("float16", 2e-3), ("bfloat16", 0.02)]
)
def test_weights_are_kept_in_the_type_and_results_are_near(storage, error):
    part = make_part("sd.unet")
    wanted = part.component.module(*part.component.example())
    device = fake_device().open(Options())
    component, undo = SPECS["layerwise-casting"].apply(part.component, device, storage=storage)
    with device.activate():
        placed = device.place(component, None)
        found = placed(*part.component.example())
    assert matrices(placed.module) == {getattr(torch, storage)}
    assert 0 < float((found - wanted).norm() / wanted.norm()) < error
    placed.close()
    undo()
    assert matrices(part.component.module) == {torch.float32}


def test_a_type_that_is_no_narrower_changes_nothing():
    part = make_part("sd.unet")
    device = fake_device().open(Options())
    component, undo = SPECS["layerwise-casting"].apply(part.component, device, storage="float16")
    placed = device.place(component, "bfloat16")
    assert matrices(placed.module) == {torch.bfloat16}
    undo()


class Overflowing(torch.nn.Module):
    """Goes beyond the largest number of half precision, and back."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1000.1), False)

    def forward(self, x):
        return x * self.weight * self.weight / self.weight


@pytest.mark.parametrize("always", [False, True])
def test_a_vae_without_numbers_is_computed_again_in_float32(always):
    module = Overflowing()
    x = torch.full((1, 1, 2, 2), 3.0)
    component = Component("vae_decoder", "torch", module, lambda: (x,), str)
    device = fake_device().open(Options())
    with device.activate():
        plain = device.place(component, "float16")
        assert plain(x).isinf().all()
        changed, undo = SPECS["vae-upcast"].apply(component, device, always=always)
        placed = device.place(changed, "float16")
        assert (placed.module.managed.weight.dtype == torch.float32) == always
        for _ in range(2):
            torch.testing.assert_close(placed(x), torch.full_like(x, 3000.3), rtol=2e-4, atol=0)
        assert placed.module.managed.weight.dtype == torch.float32
    assert float(placed.module.managed.weight) == pytest.approx(1000.1, rel=1e-7), "no bit is lost on the way"
    undo()
    assert module.weight.dtype == torch.float32


def test_one_with_numbers_stays_in_half_precision():
    part = make_part("sd.vae_decoder")
    device = fake_device().open(Options())
    changed, undo = SPECS["vae-upcast"].apply(part.component, device, always=False)
    with device.activate():
        placed = device.place(changed, "float16")
        placed(*part.component.example())
    assert matrices(placed.module) == {torch.float16}
    undo()


def test_types_come_before_offloading():
    import dataclasses

    component = dataclasses.replace(make_part("sd.unet").component, managed=True)
    with pytest.raises(InvalidRequest, match="unet is offloaded already; name types before offloading"):
        SPECS["layerwise-casting"].apply(component, None, storage="float16")
