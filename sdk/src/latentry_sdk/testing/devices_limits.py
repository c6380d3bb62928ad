"""What a device of torch modules must do where memory runs out, threads meet and jobs end."""

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from latentry_sdk import Component, Device, OutOfMemory
from latentry_sdk.machine import system_memory
from latentry_sdk.testing.devices import GROSS, DeviceContract, distance
from latentry_sdk.testing.devices_models import Models, place
from latentry_sdk.testing.parts import as_component, make_part

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 8
WIDTH = 2944
HELD = 4 * WIDTH**2
"""Bytes of a component that is placed and closed again and again: enough for C libraries to free at once."""

ENDLESS = 2**21
"""The outer product of two vectors of so many numbers takes 16 TiB."""


class Limits(DeviceContract):
    """Tests of what a device takes, gives back and survives."""

    def test_closing_gives_memory_back(self, device: Device) -> None:
        """Of the process and of the device: a server places models for days."""
        for _ in range(2):
            _once(device, self.dtype)
        before = _held(device)
        for _ in range(ROUNDS):
            _once(device, self.dtype)
        kept = [(now - then) / HELD for now, then in zip(_held(device), before, strict=True)]
        assert max(kept) < ROUNDS / 2, f"{max(kept):.1f} of {ROUNDS} closed components are kept"

    def test_out_of_memory_is_told_as_such(self, device: Device) -> None:
        """As `OutOfMemory`, whatever the engine raises."""
        placed = place(device, _outer(), self.dtype)
        with pytest.raises(OutOfMemory), device.activate():
            placed(*_vectors(ENDLESS))
        placed.close()

    def test_it_survives_out_of_memory(self, device: Device, component: Component) -> None:
        """The component that ran out answers the next call, and others can be placed."""
        placed = place(device, _outer(), self.dtype)
        with suppress(Exception), device.activate():  # which one it raises, another test tells
            placed(*_vectors(ENDLESS))
        with device.activate():
            assert distance(placed(*_vectors(5)), [[1.0] * 5] * 5) <= GROSS
        device.place(component, self.dtype).close()
        placed.close()

    def test_threads_do_not_mix_their_results(self, device: Device) -> None:
        """A preview is decoded while the next step is computed."""
        part = make_part("sd.vae_decoder")
        placed = place(device, part.component, self.dtype)
        given = [part.arguments(1, (8, 8))[0] * factor for factor in (1.0, -2.0)]

        def call(array: "Tensor") -> Any:
            with device.activate():
                return placed(array)

        wanted = [call(array) for array in given]
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(call, given * 10))
        placed.close()
        assert max(map(distance, found, wanted * 10)) <= GROSS

    def test_its_context_leaves_torch_as_it_was(self, device: Device) -> None:
        """Threads, number types, gradients and determinism are the process's own."""
        before = _settings()
        with device.activate():
            pass
        assert _settings() == before


class DeviceSuite(Models, Limits):
    """What a device of torch modules must do: subclass this and override the fixture `spec`.

    `dtype` is what components are placed in; `bounds` declares, by dtype, how far results may be from those
    of float64 on the processor, relative to the largest of them; `parts` are the components that it takes.
    """


def _once(device: Device, dtype: str | None) -> None:
    """Place, call and close a component of `HELD` bytes."""
    import torch

    layer = torch.nn.Linear(WIDTH, WIDTH, bias=False, device="meta").to_empty(device="cpu")
    torch.nn.init.constant_(layer.weight, 1 / WIDTH)
    component = as_component("unet", layer, lambda batch, _size: (torch.ones(batch, WIDTH),))
    placed = place(device, component, dtype)
    with device.activate():
        placed(*component.example())
    placed.close()


def _held(device: Device) -> tuple[int, int]:
    """Bytes in use by this process, and on the device where it has memory of its own."""
    import psutil

    gc.collect()
    memory = device.memory()
    own = memory.total is not None and memory.total != system_memory().total
    used = (memory.total or 0) - (memory.free or 0) if own else 0
    return int(psutil.Process().memory_info().rss), used


def _outer() -> Component:
    """A component that gives the outer product of two vectors."""
    import torch

    class Outer(torch.nn.Module):
        """`(a, b) -> a bᵀ`."""

        def forward(self, left: "Tensor", right: "Tensor") -> "Tensor":
            return left[:, None] * right[None, :]

    return as_component("unet", Outer(), lambda _batch, _size: _vectors(4))


def _vectors(length: int) -> "tuple[Tensor, Tensor]":
    import torch

    return torch.ones(length), torch.ones(length)


def _settings() -> tuple[Any, ...]:
    import torch

    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
    )
