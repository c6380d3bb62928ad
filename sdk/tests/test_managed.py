"""Modules that an optimizer manages, and what devices tell them."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from latentry_sdk import Component, Memory, Unavailable
from latentry_sdk.managed import managed_module
from latentry_sdk.torch_blocks import blocks, largest_block
from latentry_sdk.torch_device import TorchDevice, TorchPlace

PLACE = TorchPlace("here", "cpu", ("float32", "float16", "float8_e4m3fn"), Memory)


class Keeper:
    """Notes where the module is settled, and gives one of its own to be called."""

    def __init__(self):
        self.settled, self.other = [], torch.nn.Linear(2, 3)

    def settle(self, home, dtype):
        self.settled.append((home, dtype))
        return self.other

    def calling(self):
        return nullcontext(self.other)


def component(keeper):
    module = managed_module(torch.nn.Linear(2, 2), keeper)
    return Component("unet", "torch", module, lambda: (torch.ones(1, 2),), str, managed=True)


def test_a_device_settles_a_managed_module_where_it_calls_it():
    keeper = Keeper()
    placed = TorchDevice(replace(PLACE, home="cpu")).place(component(keeper), "float16")
    assert keeper.settled == [("cpu", torch.float16)]
    keeper.other.half()
    assert placed(torch.ones(1, 2)).shape == (1, 3)
    assert keeper.settled == [("cpu", torch.float16)]
    assert keeper.other in [*placed.module.modules()], "stages see what is called"


def test_one_that_no_device_settled_is_settled_at_its_first_call():
    keeper = Keeper()
    keeper.other.double()
    module = component(keeper).module
    for _ in range(2):
        assert module(torch.ones(1, 2, dtype=torch.float64)).shape == (1, 3)
    assert keeper.settled == [("cpu", torch.float64)]


def test_a_device_does_not_claim_to_keep_managed_weights_in_8_bits():
    with pytest.raises(Unavailable, match="an optimizer moves the weights of unet"):
        TorchDevice(PLACE).place(component(Keeper()), "float8_e4m3fn")


def test_blocks_have_all_weights_once_and_tables_are_not_the_largest():
    repeated = torch.nn.ModuleList(
        torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)) for _ in range(3)
    )
    mixed = torch.nn.ModuleList([torch.nn.Linear(4, 5), torch.nn.Identity()])
    module = torch.nn.ModuleDict({"table": torch.nn.Embedding(100, 4), "repeated": repeated, "mixed": mixed})
    for layers in (False, True):
        held = [
            weight
            for _, holders in blocks(module, layers=layers)
            for h in holders
            for weight in h._parameters.values()
        ]
        assert sorted(map(id, held)) == sorted(map(id, module.parameters()))
    assert [called for called, _ in blocks(module)] == [module["table"], *repeated, mixed[0]]
    assert largest_block(module) == 2 * (16 + 4) * 4
