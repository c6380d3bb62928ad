"""Devices that break one promise each; `fails` is the one test of the suite that must tell."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from latentry_sdk import (
    Cancelled,
    Component,
    DeviceReport,
    DeviceSpec,
    Memory,
    OutOfMemory,
    Placed,
    Unavailable,
)
from latentry_sdk.testing import DeviceSuite
from latentry_sdk.testing.here import HERE, HERE_SPEC
from latentry_sdk.torch_device import TorchDevice

PARTS = ("sd.text_encoder", "sd.vae_decoder")


class Around:
    """What is placed, with a change around its calls."""

    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        self.home, self.dtype = placed.home, placed.dtype

    def __call__(self, *arrays: Any) -> Any:
        return self.placed(*arrays)

    def close(self) -> None:
        self.placed.close()


class Device(TorchDevice):
    """The kit's own device; `around` changes what it placed."""

    around: type[Around] = Around

    def __init__(self) -> None:
        super().__init__(HERE)

    def place(self, component: Component, dtype: str | None) -> Any:
        return self.around(super().place(component, dtype))


class Wrong(DeviceSuite):
    """A suite whose device is `device`."""

    parts = PARTS
    fails: ClassVar[str]
    device_class: ClassVar[type[TorchDevice]] = Device
    probe: ClassVar[Any] = HERE_SPEC.probe
    test_a_probe_imports_nothing_heavy: Any = None
    """Takes a process of its own, and the probe is the same but in one of these."""

    @pytest.fixture
    def spec(self) -> DeviceSpec:
        kind = type(self).device_class
        return DeviceSpec("wrong", type(self).probe, lambda _options: kind())


def with_around(kind: type[Around]) -> type[Device]:
    return type("Changed", (Device,), {"around": kind})


def applied(value: Any, change: Any) -> Any:
    return tuple(applied(part, change) for part in value) if isinstance(value, tuple) else change(value)


class RoundsToHalf(Around):
    def __call__(self, *arrays: Any) -> Any:
        return applied(super().__call__(*arrays), lambda part: part.half().to(part.dtype))


class TestRoundsToHalf(Wrong):
    fails = "test_every_part_is_within_its_bound"
    device_class = with_around(RoundsToHalf)


class Refuses(Device):
    def place(self, component: Component, dtype: str | None) -> Any:
        if component.name == "text_encoder":
            raise Unavailable("it runs no text encoder", fix="place it elsewhere")
        return super().place(component, dtype)


class TestRefusesAKind(Wrong):
    fails = "test_every_part_can_be_placed"
    device_class = Refuses


class FixedToOneBatch(Around):
    def __call__(self, *arrays: Any) -> Any:
        if len(arrays[0]) == 3:
            raise RuntimeError("the graph is fixed to another batch")
        return super().__call__(*arrays)


class TestFixedToOneBatch(Wrong):
    fails = "test_other_batches_are_done"
    device_class = with_around(FixedToOneBatch)


class WrongWhereOdd(Around):
    def __call__(self, *arrays: Any) -> Any:
        found = super().__call__(*arrays)
        odd = arrays[0].dim() == 4 and any(side % 2 for side in arrays[0].shape[2:])
        return found * 0 if odd else found


class TestWrongWhereOdd(Wrong):
    fails = "test_odd_sizes_are_done"
    device_class = with_around(WrongWhereOdd)


class MutatesTheModule(Device):
    def place(self, component: Component, dtype: str | None) -> Any:
        component.module.register_forward_hook(lambda *_: None)
        return super().place(component, dtype)


class TestMutatesTheModule(Wrong):
    fails = "test_the_module_is_left_as_it_was"
    device_class = MutatesTheModule


class WritesOverArguments(Around):
    def __call__(self, *arrays: Any) -> Any:
        found = super().__call__(*arrays)
        if arrays[0].dtype == torch.int64:
            arrays[0].zero_()
        return found


class TestWritesOverArguments(Wrong):
    fails = "test_arguments_are_left_as_they_are"
    device_class = with_around(WritesOverArguments)


class KeepsItsOwnType(Around):
    def __call__(self, *arrays: Any) -> Any:
        return applied(super().__call__(*arrays), lambda part: part.float())


class TestKeepsItsOwnType(Wrong):
    fails = "test_results_have_the_type_of_the_first_floating_argument"
    device_class = with_around(KeepsItsOwnType)


class Leaks(Device):
    kept: ClassVar[list[Any]] = []

    def place(self, component: Component, dtype: str | None) -> Any:
        self.kept.append(deepcopy(component.module))
        return super().place(component, dtype)


class TestLeaks(Wrong):
    fails = "test_closing_gives_memory_back"
    device_class = Leaks


class RaisesAsTheEngineDoes(Around):
    def __call__(self, *arrays: Any) -> Any:
        try:
            return super().__call__(*arrays)
        except OutOfMemory as exc:
            raise RuntimeError("the engine's own words") from exc


class TestRaisesAsTheEngineDoes(Wrong):
    fails = "test_out_of_memory_is_told_as_such"
    device_class = with_around(RaisesAsTheEngineDoes)


class BrokenByOutOfMemory(Around):
    broken = False

    def __call__(self, *arrays: Any) -> Any:
        if self.broken:
            raise RuntimeError("the context is corrupt")
        try:
            return super().__call__(*arrays)
        except Exception:
            self.broken = True
            raise


class TestBrokenByOutOfMemory(Wrong):
    fails = "test_it_survives_out_of_memory"
    device_class = with_around(BrokenByOutOfMemory)


class SharesOneBuffer(Around):
    """Threads that meet here get each other's results."""

    def __call__(self, *arrays: Any) -> Any:
        self.buffer = super().__call__(*arrays)
        time.sleep(0.002)
        return self.buffer


class TestSharesOneBuffer(Wrong):
    fails = "test_threads_do_not_mix_their_results"
    device_class = with_around(SharesOneBuffer)


class LeavesThreads(Device):
    @contextmanager
    def activate(self) -> Iterator[None]:
        torch.set_num_threads(torch.get_num_threads() + 1)
        with super().activate():
            yield


class TestLeavesThreads(Wrong):
    fails = "test_its_context_leaves_torch_as_it_was"
    device_class = LeavesThreads


class TakesAnyDtype(Device):
    def place(self, component: Component, dtype: str | None) -> Any:
        return super().place(component, dtype if dtype in HERE.dtypes else None)


class TestTakesAnyDtype(Wrong):
    fails = "test_an_unknown_dtype_is_unavailable"
    device_class = TakesAnyDtype


class GivesParameters(Around):
    def __call__(self, *arrays: Any) -> Any:
        found = super().__call__(*arrays)
        return found if isinstance(found, tuple) else torch.nn.Parameter(found, False)


class TestGivesAnotherType(Wrong):
    fails = "test_a_placed_component_does_what_its_module_does"
    device_class = with_around(GivesParameters)


class RemembersCalls(Around):
    count = 0

    def __call__(self, *arrays: Any) -> Any:
        self.count += 1
        found = super().__call__(*arrays)
        return found if self.count == 1 else applied(found, lambda part: part * 1.001)


class TestGivesOtherNumbersTheSecondTime(Wrong):
    fails = "test_a_placed_component_gives_the_same_twice"
    device_class = with_around(RemembersCalls)


class TestPromisesADtypeItReplaces(Wrong):
    fails = "test_its_dtypes_can_be_placed"
    probe = partial(DeviceReport, True, dtypes=("float64",))


class TestSaysNoWithoutAFix(Wrong):
    fails = "test_a_probe_is_quick_and_says_what_is_there"
    probe = partial(DeviceReport, False, "no such hardware")


class TestProbesWithNumpy(Wrong):
    fails = "test_a_probe_imports_nothing_heavy"
    test_a_probe_imports_nothing_heavy = DeviceSuite.test_a_probe_imports_nothing_heavy
    probe = partial(DeviceReport, True, np.str_("numpy is here"), dtypes=HERE.dtypes)


class HasMoreFreeThanItHas(Device):
    def memory(self) -> Memory:
        return Memory(10, 11)


class TestHasMoreFreeThanItHas(Wrong):
    fails = "test_memory_is_told_in_bytes"
    device_class = HasMoreFreeThanItHas


class ClosesOnce(Around):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed twice")
        self.closed = True
        super().close()


class TestClosesOnce(Wrong):
    fails = "test_closing_twice_is_harmless"
    device_class = with_around(ClosesOnce)


class NeverCloses(Around):
    def close(self) -> None:
        pass


class TestAnswersAfterItsEnd(Wrong):
    fails = "test_a_closed_component_refuses_calls"
    device_class = with_around(NeverCloses)


class Swallows(Device):
    @contextmanager
    def activate(self) -> Iterator[None]:
        with super().activate():
            try:
                yield
            except Cancelled:
                return


class TestSwallowsCancelling(Wrong):
    fails = "test_a_cancelled_job_leaves_it_usable"
    device_class = Swallows


class OneAtATime(Device):
    """Whoever closes one closes all that any placed."""

    everything: ClassVar[list[Any]] = []

    def place(self, component: Component, dtype: str | None) -> Any:
        placed = super().place(component, dtype)
        self.everything.append(placed)
        return placed

    def close(self) -> None:
        while self.everything:
            self.everything.pop().close()


class TestOneAtATime(Wrong):
    fails = "test_two_are_open_at_once"
    device_class = OneAtATime


class TestRight(Wrong):
    """The device that the others are made of breaks none."""

    fails = ""
