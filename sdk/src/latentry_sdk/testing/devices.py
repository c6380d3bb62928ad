"""What a device must do."""

import base64
import pickle
from collections.abc import Iterator
from math import isfinite
from time import monotonic
from typing import Any

import pytest

from latentry_sdk import Component, Device, DeviceReport, DeviceSpec, Memory, Unavailable
from latentry_sdk.testing.imports import HEAVY, heavy_imports

PROBE = "import base64, pickle; print(pickle.loads(base64.b64decode({probe!r}))())"


class DeviceSuite:
    """Subclass this and override the fixtures `spec` and `component`; without the hardware most tests skip.

    `dtype` is what the component is placed in and `tolerance` how far its results may then be from the
    module's own, relative to the largest of them. `spec.probe` must be a function that can be pickled.
    """

    dtype: str | None = None
    tolerance: float = 1e-4
    seconds: float = 5.0
    heavy: frozenset[str] = HEAVY

    @pytest.fixture
    def spec(self) -> DeviceSpec:
        """The device under test."""
        raise NotImplementedError("override the fixture `spec`")

    @pytest.fixture
    def component(self) -> Component:
        """A small component, made anew for each test."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def device(self, spec: DeviceSpec) -> Iterator[Device]:
        """The device, open; skips where it is not there."""
        report = spec.probe()
        if not report.available:
            pytest.skip(report.detail)
        device = spec.open(spec.options())
        yield device
        device.close()

    def test_a_probe_is_quick_and_says_what_is_there(self, spec: DeviceSpec) -> None:
        """Or what is missing and how to get it."""
        start = monotonic()
        report = spec.probe()
        assert monotonic() - start < self.seconds
        assert isinstance(report, DeviceReport)
        if report.available:
            assert report.dtypes
        else:
            assert report.detail
            assert report.fix

    def test_a_probe_imports_nothing_heavy(self, spec: DeviceSpec) -> None:
        """It runs when a list of devices is wanted, in processes that must stay small."""
        probe = base64.b64encode(pickle.dumps(spec.probe)).decode()
        assert not heavy_imports(PROBE.format(probe=probe), self.heavy)

    def test_a_placed_component_does_what_its_module_does(self, device: Device, component: Component) -> None:
        """Within the tolerance, and where the first argument was."""
        arguments = component.example()
        with device.activate():
            wanted = component.module(*arguments)
            placed = device.place(component, self.dtype)
            found = placed(*arguments)
        assert type(found) is type(wanted)
        assert _place(found) == _place(arguments)
        assert distance(found, wanted) <= self.tolerance
        placed.close()

    def test_a_placed_component_gives_the_same_twice(self, device: Device, component: Component) -> None:
        """Also in a second job, and in the dtype that was asked for."""
        placed = device.place(component, self.dtype)
        arguments = component.example()
        with device.activate():
            first = placed(*arguments)
        with device.activate():
            second = placed(*arguments)
        assert distance(first, second) <= self.tolerance
        assert placed.home
        assert placed.dtype == (self.dtype or placed.dtype)
        placed.close()

    def test_its_dtypes_can_be_placed(self, spec: DeviceSpec, device: Device, component: Component) -> None:
        """What the device chooses by itself is among what the probe promised."""
        placed = device.place(component, None)
        assert placed.dtype in spec.probe().dtypes
        placed.close()

    def test_an_unknown_dtype_is_unavailable(self, device: Device, component: Component) -> None:
        """And not replaced by another one."""
        with pytest.raises(Unavailable):
            device.place(component, "float3")

    def test_memory_is_told_in_bytes(self, device: Device) -> None:
        """Free is within total, where both are known."""
        memory = device.memory()
        assert isinstance(memory, Memory)
        if memory.total is not None and memory.free is not None:
            assert 0 <= memory.free <= memory.total

    def test_closing_twice_is_harmless(self, spec: DeviceSpec, device: Device, component: Component) -> None:
        """For what was placed and for the device, which can be opened again."""
        placed = device.place(component, self.dtype)
        for _ in range(2):
            placed.close()
        for _ in range(2):
            device.close()
        spec.open(spec.options()).close()


def distance(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest wanted value; infinite for another size or a NaN."""
    left, right = list(_numbers(found)), list(_numbers(wanted))
    if len(left) != len(right) or not all(map(isfinite, left)):
        return float("inf")
    scale = max(map(abs, right), default=0.0) or 1.0
    return max((abs(a - b) for a, b in zip(left, right, strict=True)), default=0.0) / scale


def _numbers(value: Any) -> Iterator[float]:
    """All numbers in an array, or in arrays in a tuple, without knowing the library they come from."""
    if isinstance(value, int | float):
        yield float(value)
        return
    plain = value.tolist() if hasattr(value, "tolist") else value
    for part in [plain] if isinstance(plain, int | float) else plain:
        yield from _numbers(part)


def _place(value: Any) -> Any:
    """Where the first array lies, for libraries that say so."""
    first = value[0] if isinstance(value, tuple) else value
    return str(getattr(first, "device", None))
