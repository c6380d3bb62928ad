"""Attention in parts is attention, keeps few scores, and is gone with the undo."""

import gc
from typing import ClassVar

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from latentry_attention import register_optimizers
from latentry_attention.processors import sliced
from latentry_sdk import Component, Options, Unavailable
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger, fake_device
from latentry_sdk.testing.parts import make_part

SPECS = {spec.name: spec for spec in register_optimizers()}
MEGABYTE = 1 << 20


class TestSlicing(OptimizerSuite):
    """On an accelerator whose attention keeps no scores."""

    options: ClassVar = {"megabytes": 1}

    @pytest.fixture
    def spec(self):
        return SPECS["attention-slicing"]


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("mask", [None, (1, 1, 1, 50), (2, 1, 40, 50)])
@pytest.mark.parametrize("most", [1, 20_000, 1 << 30])
def test_parts_are_attention(mask, most):
    arrays = drawn(2, 3, 40, 8), drawn(2, 3, 50, 8), drawn(2, 3, 50, 6)
    bias = None if mask is None else drawn(*mask)
    wanted = scaled_dot_product_attention(*arrays, bias)
    torch.testing.assert_close(sliced(*arrays, bias, most=most), wanted, rtol=1e-10, atol=1e-12)


def test_causal_attention_is_left_whole():
    arrays = [drawn(1, 2, 40, 8)] * 3
    found = sliced(*arrays, most=1, is_causal=True)
    assert found.equal(scaled_dot_product_attention(*arrays, is_causal=True))


def test_scores_are_kept_for_some_queries_at_a_time():
    part = make_part("sd.unet")
    device = fake_device(0, FakeAccelerator(1 << 50, dry=True, fused=False)).open(Options())
    arrays, peaks = part.arguments(2, (64, 64)), []
    for megabytes in (None, 64, 8):
        component, undo = part.component, lambda: None
        if megabytes:
            component, undo = SPECS["attention-slicing"].apply(part.component, device, megabytes=megabytes)
        with device.activate():
            placed = device.place(component, None)
            before = Ledger().now
            Ledger().restart()
            placed(*arrays)
            peaks.append(Ledger().peak - before)
        placed.close()
        undo()
        del placed
        gc.collect()
    assert peaks[0] > 2 * peaks[1] > 2 * peaks[2], peaks
    assert peaks[2] < peaks[1]


def test_a_kernel_is_taken_and_one_that_is_missing_is_an_error():
    part = make_part("sd.unet")
    wanted = part.component.module(*part.component.example())
    component, undo = SPECS["attention-backend"].apply(part.component, None, kernel="math")
    found = component.module(*part.component.example())
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    undo()
    component, undo = SPECS["attention-backend"].apply(part.component, None, kernel="cudnn")
    with pytest.raises(RuntimeError, match="kernel"):
        component.module(*part.component.example())
    undo()
    assert part.component.module(*part.component.example()).equal(wanted)


def test_what_has_no_attention_is_refused():
    component = Component("unet", "torch", torch.nn.Linear(1, 1), tuple, str)
    with pytest.raises(Unavailable, match="unet has no attention of diffusers"):
        SPECS["attention-slicing"].apply(component, None, megabytes=1)
