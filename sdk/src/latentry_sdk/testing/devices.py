"""What a device must do, whatever it runs."""

import base64
import pickle
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from time import monotonic
from typing import Any

import pytest

from latentry_sdk import (
    Cancelled,
    Component,
    Device,
    DeviceReport,
    DeviceSpec,
    Memory,
    Placed,
    PluginError,
    Unavailable,
)
from latentry_sdk.testing.imports import HEAVY, heavy_imports

PROBE = "import base64, pickle; print(pickle.loads(base64.b64decode({probe!r}))())"
BOUNDS = {"float64": 1e-6, "float32": 1e-4, "float16": 0.02, "bfloat16": 0.1}
GROSS = 0.25
"""A difference that no rounding explains: another shape was computed, or another model."""


class DeviceContract:
    """What holds of every device: subclass this and override the fixtures `spec` and `component`.

    `DeviceSuite` asks more of devices that run torch modules. Without the hardware most tests skip.

    `dtype` is what components are placed in; `bounds` declares, by dtype, how far results may be from exact
    ones, relative to the largest of them. `spec.probe` must be a function that can be pickled.
    """

    dtype: str | None = None
    bounds: Mapping[str, float] = BOUNDS
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

    def near(self, placed: Placed) -> float:
        """How far the results of a placed component may be from those of its module."""
        return self.bounds[placed.dtype]

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
        """Within the bound, and where the first argument was."""
        arguments = component.example()
        with device.activate():
            wanted = component.module(*arguments)
            placed = device.place(component, self.dtype)
            found = placed(*arguments)
        assert type(found) is type(wanted)
        assert _place(found) == _place(arguments)
        assert distance(found, wanted) <= self.near(placed)
        placed.close()

    def test_a_placed_component_gives_the_same_twice(self, device: Device, component: Component) -> None:
        """Also in a second job, and in the dtype that was asked for."""
        placed = device.place(component, self.dtype)
        arguments = component.example()
        with device.activate():
            first = placed(*arguments)
        with device.activate():
            second = placed(*arguments)
        assert distance(first, second) <= self.bounds[placed.dtype]
        assert placed.home
        assert placed.dtype == (self.dtype or placed.dtype)
        placed.close()

    def test_its_dtypes_can_be_placed(self, spec: DeviceSpec, device: Device, component: Component) -> None:
        """What it chooses by itself is one that the probe promised, and each of those is done or refused."""
        dtypes = spec.probe().dtypes
        for dtype in (None, *dtypes):
            try:
                placed = device.place(component, dtype)
            except Unavailable:
                assert dtype, "it has no dtype of its own choice"
                continue
            assert placed.dtype in ([dtype] if dtype else dtypes)
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

    def test_a_closed_component_refuses_calls(self, device: Device, component: Component) -> None:
        """It is a bug of whoever calls it, and said as one."""
        placed = device.place(component, self.dtype)
        placed.close()
        with pytest.raises(PluginError):
            placed(*component.example())

    def test_a_cancelled_job_leaves_it_usable(self, device: Device, component: Component) -> None:
        """What is raised in the device's context comes out of it as it is, and the next job runs."""
        placed = device.place(component, self.dtype)
        arguments = component.example()
        with device.activate():
            before = placed(*arguments)
        with pytest.raises(Cancelled):
            _stopped(device, placed, arguments)
        with device.activate():
            assert distance(placed(*arguments), before) <= GROSS
        placed.close()

    def test_two_are_open_at_once(self, spec: DeviceSpec, device: Device, component: Component) -> None:
        """Each has its own: closing one leaves what the other placed."""
        other = spec.open(spec.options())
        mine, theirs = device.place(component, self.dtype), other.place(component, self.dtype)
        arguments = component.example()
        with device.activate(), other.activate():
            before = mine(*arguments)
            assert distance(theirs(*arguments), before) <= GROSS
        theirs.close()
        other.close()
        with device.activate():
            assert distance(mine(*arguments), before) <= GROSS
        mine.close()


def _stopped(device: Device, placed: Placed, arguments: tuple[Any, ...]) -> None:
    """A job that is cancelled after a call."""
    with device.activate():
        placed(*arguments)
        raise Cancelled("stopped")


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
    plain: Iterable[Any] = value.tolist() if hasattr(value, "tolist") else value
    for part in [plain] if isinstance(plain, int | float) else plain:
        yield from _numbers(part)


def _place(value: Any) -> Any:
    """Where the first array lies, for libraries that say so."""
    first = value[0] if isinstance(value, tuple) else value
    return str(getattr(first, "device", None))
