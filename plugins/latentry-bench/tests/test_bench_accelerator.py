"""On an accelerator the clock waits for it, its peaks are measured there, and its memory is what counts."""

from collections.abc import Callable

import pytest
import torch

from latentry_bench.peak_memory import peak_memory
from latentry_bench.peaks import probe, settle
from latentry_sdk.testing.accelerator import Ledger
from latentry_sdk.testing.accelerator.ledger import operators

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def fake() -> object:
    """The pretend accelerator, registered with torch as `fake`."""
    return operators()


def test_the_most_that_the_accelerator_held_is_its_peak() -> None:
    Ledger(1).restart()
    kept = torch.ones(1 << 20, device="fake:1")
    more = torch.ones(3 << 20, device="fake:1")
    del more
    found = peak_memory(["cpu", "fake:1"])
    assert found.of == "fake:1"
    assert found.bytes == Ledger(1).peak == pytest.approx(4 << 22, rel=0.01)
    assert kept.device.index == 1


def test_without_an_accelerator_the_process_is_what_counts() -> None:
    found = peak_memory(["cpu", "toy"])
    assert found.of == "process"
    assert found.bytes is not None
    before = found.bytes
    held = torch.ones(before // 4 + (1 << 28))
    after = peak_memory(["cpu"]).bytes
    assert after is not None
    assert after > before
    assert held.numel()


def test_the_clock_waits_for_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    wait: Callable[[], None] = lambda: calls.append("waited")  # noqa: E731
    module = torch.fake  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "synchronize", wait)
    settle()
    assert calls == ["waited"]


def test_its_peaks_are_measured_on_it() -> None:
    Ledger(0).restart()
    found = probe("fake:0", "float32")
    assert (found.where, found.dtype) == ("fake:0", "float32")
    assert found.flops > 1e8
    assert found.bandwidth > 1e7
    assert Ledger(0).peak >= 2 * 256 << 20
