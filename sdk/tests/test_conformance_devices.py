"""What holds of every device is asked of one of plain Python, and broken ones are noticed."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from latentry_sdk import Component, DeviceReport, DeviceSpec, Memory, Placed, PluginError, Unavailable
from latentry_sdk.testing import DeviceContract, Row, heavy_imports


@dataclass
class Shelf:
    """Where a component lies; `error` is added to all it gives."""

    module: Any
    error: float
    home: str = "shelf"
    dtype: str = "float64"

    def __call__(self, *arrays: Any) -> Any:
        if self.module is None:
            raise PluginError("closed")
        return self.module(*arrays) + self.error

    def close(self) -> None:
        self.module = None


@dataclass
class Room:
    """A device of plain Python that knows `dtypes`."""

    error: float = 0.0
    dtypes: tuple[str, ...] = ("float64",)

    def place(self, component: Component, dtype: str | None) -> Placed:
        if dtype is not None and dtype not in self.dtypes:
            raise Unavailable(f"no {dtype} here", fix="use float64")
        return Shelf(component.module, self.error)

    def activate(self) -> AbstractContextManager[None]:
        return nullcontext()

    def memory(self) -> Memory:
        return Memory()

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Numbers:
    """What the toy component gives: numbers in a row, as an array library would hand them out."""

    row: Row

    def __add__(self, other: float) -> "Numbers":
        return Numbers(self.row + other)

    def tolist(self) -> list[float]:
        return list(self.row.values)


def toy() -> Component:
    return Component("half", "toy", lambda row: Numbers(row / 2), lambda: (Row((1.0, 2.0)),), lambda: "half")


PROBE = partial(DeviceReport, True, dtypes=("float64",))
ROOM = DeviceSpec("room", PROBE, lambda _options: Room())


class TestRoom(DeviceContract):
    """A device that keeps the contract."""

    dtype = "float64"

    @pytest.fixture
    def spec(self) -> DeviceSpec:
        return ROOM

    @pytest.fixture
    def component(self) -> Component:
        return toy()


def test_a_device_that_computes_wrongly_fails() -> None:
    with pytest.raises(AssertionError):
        DeviceContract().test_a_placed_component_does_what_its_module_does(Room(error=0.01), toy())


def test_a_device_that_takes_any_dtype_fails() -> None:
    with pytest.raises(pytest.fail.Exception):
        DeviceContract().test_an_unknown_dtype_is_unavailable(Room(dtypes=("float3",)), toy())


def test_a_probe_that_says_no_without_a_fix_fails() -> None:
    silent = replace(ROOM, probe=partial(DeviceReport, False, "no such hardware"))
    with pytest.raises(AssertionError):
        DeviceContract().test_a_probe_is_quick_and_says_what_is_there(silent)


def test_a_probe_that_imports_numpy_fails() -> None:
    import numpy as np

    probe: Any = partial(np.float64, 1)
    heavy = replace(ROOM, probe=probe)
    with pytest.raises(AssertionError):
        DeviceContract().test_a_probe_imports_nothing_heavy(heavy)


def test_the_pytest_plugin_imports_nothing_heavy() -> None:
    assert not heavy_imports("import latentry_sdk.testing.fixtures")
