"""The accelerator as Latentry's devices `fake` and `fake-1`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from latentry_sdk import DeviceReport, DeviceSpec, Memory, Options, hookimpl
from latentry_sdk.testing.accelerator.building import compiler
from latentry_sdk.testing.accelerator.ledger import DEVICES, Ledger, operators, set_dry, set_fused

if TYPE_CHECKING:
    from latentry_sdk.torch_device import TorchDevice

DTYPES = ("float32", "float16", "bfloat16")
GIGABYTE = 10**9


@dataclass(frozen=True)
class FakeAccelerator:
    """A plugin that gives both devices, each with so many bytes of memory.

    While a job runs on them: `dry` ones find out shapes only, and without `fused` attention keeps its scores;
    see `set_dry` and `set_fused`.
    """

    bytes: int = 24 * GIGABYTE
    dry: bool = False
    fused: bool = True
    rank: int = 0

    @hookimpl
    def register_devices(self) -> Sequence[DeviceSpec]:
        """The devices `fake` and `fake-1`."""
        return [fake_device(index, self) for index in range(DEVICES)]


def fake_device(index: int = 0, plugin: FakeAccelerator = FakeAccelerator()) -> DeviceSpec:
    """One of the devices, as `plugin` says."""
    return DeviceSpec(
        f"fake-{index}" if index else "fake",
        partial(probe, plugin),
        partial(open_fake, index, plugin),
        memory=partial(Memory, plugin.bytes, plugin.bytes),
        description="A pretend accelerator whose memory is counted",
    )


def probe(plugin: FakeAccelerator) -> DeviceReport:
    """There where it can be built."""
    if find_spec("torch") is None or compiler() is None:
        fix = "pip install torch, and install a C++ compiler"
        return DeviceReport(False, "torch or a C++ compiler is not there", fix)
    memory = Memory(plugin.bytes, plugin.bytes)
    return DeviceReport(True, "a pretend accelerator", None, DTYPES, memory, plugin.rank)


def open_fake(index: int, plugin: FakeAccelerator, _options: Options) -> "TorchDevice":
    """The device, open; its limit holds while a job runs on it."""
    from latentry_sdk.torch_device import TorchDevice, TorchPlace

    operators()
    ledger = Ledger(index)
    place = TorchPlace(
        name=f"fake-{index}" if index else "fake",
        home=f"fake:{index}",
        dtypes=DTYPES,
        memory=lambda: Memory(plugin.bytes, max(plugin.bytes - ledger.now, 0)),
        context=partial(limited, ledger, plugin),
    )
    return TorchDevice(place)


@contextmanager
def limited(ledger: Ledger, plugin: FakeAccelerator) -> Iterator[None]:
    """The device's limit, and how it runs; without limit, and computing, afterwards."""
    ledger.limit(plugin.bytes)
    set_dry(plugin.dry)
    set_fused(plugin.fused)
    try:
        yield
    finally:
        ledger.limit(None)
        set_dry(False)
        set_fused(True)
