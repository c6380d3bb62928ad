"""Optimizers that break one promise each; `fails` is the one test of the suite that must tell."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from latentry_sdk import Component, Device, Footprint, OptimizerSpec, Undo, Work
from latentry_sdk.testing import OptimizerSuite

DECODER = frozenset({"vae_decoder"})
Applied = tuple[Component, Undo]


def unchanged(footprint: Footprint, _work: Work) -> Footprint:
    return footprint


def nothing(component: Component, _device: Device) -> Applied:
    return component, lambda: None


class Wrong(OptimizerSuite):
    """A suite whose optimizer has the class's own `apply` and `estimate`."""

    fails: ClassVar[str] = ""

    @pytest.fixture
    def spec(self) -> OptimizerSpec:
        own = vars(type(self))
        return OptimizerSpec("wrong", DECODER, own.get("estimate", unchanged), own.get("apply", nothing))


def wrapped(component: Component, change: Callable[[Any], Any]) -> Component:
    """The component with what its module gives changed."""
    inner = component.module

    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *arrays: Any) -> Any:
            return change(self.inner(*arrays))

    return replace(component, module=Around().eval())


class TestRight(Wrong):
    """One that does nothing breaks none."""


class TestRightWithHooks(Wrong):
    """One that calls in hooks, and takes them away."""

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        handle = component.module.register_forward_hook(lambda *_: None)
        return component, handle.remove


class TestChangesResults(Wrong):
    fails = "test_results_stay_within_its_error"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        return wrapped(component, lambda found: found * 1.01), lambda: None


class TestRefusesOddSizes(Wrong):
    fails = "test_other_batches_and_odd_sizes_are_done"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        return wrapped(component, lambda found: found[:, :, : found.shape[2] // 4 * 4]), lambda: None


class TestRenames(Wrong):
    fails = "test_the_component_keeps_its_name"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        return replace(component, name="better"), lambda: None


class TestUndoForgetsAHook(Wrong):
    fails = "test_undo_leaves_the_component_as_it_was"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        if not component.module._forward_hooks:
            component.module.register_forward_hook(lambda *_: None)
        return component, lambda: None


class TestUndoLeavesWhatAFailedCallLeft(Wrong):
    fails = "test_undo_follows_a_call_that_failed"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        def begin(module: Any, *_: Any) -> None:
            module.busy = True

        def end(module: Any, *_: Any) -> None:
            del module.busy

        first = component.module.register_forward_pre_hook(begin)
        last = component.module.register_forward_hook(end)

        def undo() -> None:
            first.remove()
            last.remove()

        return component, undo


class TestEstimateIsHalf(Wrong):
    fails = "test_its_estimate_is_near_the_measured_peak"

    @staticmethod
    def estimate(footprint: Footprint, _work: Work) -> Footprint:
        return Footprint(footprint.kept // 2, footprint.passing // 2)


class TestEstimatesFractions(Wrong):
    fails = "test_its_estimate_is_a_footprint"

    @staticmethod
    def estimate(footprint: Footprint, _work: Work) -> Footprint:
        return Footprint(footprint.kept * 1.0, footprint.passing)  # type: ignore[arg-type]


class TestUndoOnlyOnce(Wrong):
    fails = "test_undo_may_be_called_twice"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        left = [1]
        return component, left.pop  # type: ignore[return-value]


class TestAnotherTheSecondTime(Wrong):
    fails = "test_it_can_be_applied_again"

    @staticmethod
    def apply(component: Component, _device: Device) -> Applied:
        seen = applications.setdefault(id(component.module), [])
        seen.append(component.module)
        factor = 1 + 4e-5 * len(seen)
        return wrapped(component, lambda found: found * factor), lambda: None


class TestStaysOnTheDevice(Wrong):
    fails = "test_memory_is_given_back"

    @staticmethod
    def apply(component: Component, device: Device) -> Applied:
        home = device.place(component, None).home
        kept.append(torch.zeros(256, device=home))
        return component, lambda: None


applications: dict[int, list[Any]] = {}
kept: list[torch.Tensor] = []
