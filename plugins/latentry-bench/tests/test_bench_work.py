"""The counted work equals exact formulas, and what torch counts when numbers are really computed."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from latentry_bench.work import call_work
from latentry_sdk import Component
from latentry_sdk.testing.parts import make_part


def component(module: torch.nn.Module) -> Component:
    return Component("part", "torch", module.requires_grad_(False), lambda: (), lambda: "")


def shapes(*arrays: Sequence[int], dtype: str = "float32") -> str:
    return json.dumps([(dtype, list(shape)) for shape in arrays])


class Attention(torch.nn.Module):
    def forward(self, q: Any, k: Any, v: Any) -> Any:
        return functional.scaled_dot_product_attention(q, k, v)


class Product(torch.nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, left: Any, right: Any) -> Any:
        ways = {"@": lambda: left @ right, "matmul": lambda: torch.matmul(left, right),
                "method": lambda: left.matmul(right), "bmm": lambda: torch.bmm(left, right)}  # fmt: skip
        return ways[self.kind]()


def test_a_convolution_is_its_filter_for_each_value_of_its_result() -> None:
    found = call_work(component(torch.nn.Conv2d(3, 8, 3, padding=1)), shapes((2, 3, 10, 12)))
    assert found.flops == 2 * (2 * 8 * 10 * 12) * (3 * 3 * 3)
    assert found.values == 2 * 3 * 10 * 12 + 2 * 8 * 10 * 12


def test_a_convolution_with_stride_and_groups() -> None:
    found = call_work(
        component(torch.nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)), shapes((1, 4, 8, 8))
    )
    assert found.flops == 2 * (8 * 4 * 4) * (2 * 3 * 3)


def test_a_linear_layer_is_a_product_with_its_weights() -> None:
    found = call_work(component(torch.nn.Linear(7, 11)), shapes((5, 7)))
    assert (found.flops, found.values) == (2 * 5 * 7 * 11, 5 * 7 + 5 * 11)


def test_attention_is_two_products_and_writes_no_scores() -> None:
    found = call_work(component(Attention()), shapes((2, 4, 16, 8), (2, 4, 6, 8), (2, 4, 6, 8)))
    assert found.flops == 2 * (2 * (2 * 4) * 16 * 6 * 8)
    assert found.values == (2 * 4 * 8) * (16 + 6 + 6 + 16)


@pytest.mark.parametrize("kind", ["@", "matmul", "method", "bmm"])
def test_a_product_counts_once_however_it_is_written(kind: str) -> None:
    found = call_work(component(Product(kind)), shapes((3, 4, 5), (3, 5, 6)))
    assert (found.flops, found.values) == (2 * 3 * 4 * 5 * 6, 3 * (4 * 5 + 5 * 6 + 4 * 6))


def test_what_lies_between_is_not_counted() -> None:
    layers = [torch.nn.Linear(4, 4), torch.nn.SiLU(), torch.nn.LayerNorm(4), torch.nn.Linear(4, 4)]
    found = call_work(component(torch.nn.Sequential(*layers)), shapes((3, 4)))
    assert (found.flops, found.values) == (2 * (2 * 3 * 4 * 4), 4 * (3 * 4))


@pytest.mark.parametrize("name", ["sd.unet", "sdxl.unet", "sd.vae_decoder"])
def test_a_tiny_component_of_diffusers_has_the_flops_that_its_real_call_has(name: str) -> None:
    part = make_part(name)
    arrays = part.arguments(2, (16, 8))
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as real:
        part.component.module(*arrays)
    asked = json.dumps([(str(each.dtype).removeprefix("torch."), list(each.shape)) for each in arrays])
    found = call_work(part.component, asked)
    assert found.flops == real.get_total_flops() > 10**6
    assert all(weight.is_meta for weight in part.component.module.parameters())


def test_twice_the_rows_are_twice_the_work() -> None:
    part = make_part("sd.unet")
    one, two = (
        json.dumps([("float32", list(each.shape)) for each in part.arguments(rows, (8, 8))])
        for rows in (1, 2)
    )
    once, twice = call_work(part.component, one), call_work(part.component, two)
    assert twice.values <= 2 * once.values
    assert 1.9 * once.flops < twice.flops <= 2 * once.flops
