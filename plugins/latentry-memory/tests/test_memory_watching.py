"""While a job runs its devices' memory is looked at: what was left is told, and a lack ends it in time."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

import latentry_cpu
import latentry_emoji
import latentry_images
import latentry_memory
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Config, Host, Request
from latentry_memory.budgets import MemoryOptions
from latentry_memory.retrying import AGAIN
from latentry_memory.watching import LEFT, Watch
from latentry_sdk import Memory, OutOfMemory, Stepped, hookimpl
from latentry_sdk.machine import system_memory
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger

PLUGINS = (
    latentry_stable_diffusion, latentry_txt2img, latentry_emoji, latentry_images, latentry_samplers,
    latentry_schedules, latentry_memory, latentry_cpu,
)  # fmt: skip
GIGABYTE = 10**9
PICTURE = Request(task="txt2img", prompt="a red apple", seed=1, steps=4)


class Machine:
    """The machine's memory as psutil tells it: `available` can be set."""

    def __init__(self) -> None:
        self.total = psutil.virtual_memory().total
        self.available = self.total // 2

    def __call__(self) -> Any:
        return SimpleNamespace(total=self.total, available=self.available)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(psutil, "virtual_memory", found)
    return found


def opened(folder: Path, *plugins: Any, **memory: Any) -> Host:
    options = {"memory": memory} if memory else {}
    config = Config(data_dir=folder, models_dir=folder / "models", options=options)
    return Host([*PLUGINS, *plugins], config)


def watch(*given: Memory, **options: Any) -> Watch:
    """Of one device, which says these one after the other, and then the last again."""
    said = [*given]
    device = SimpleNamespace(memory=lambda: said.pop(0) if len(said) > 1 else said[0])
    return Watch({"one": device}, MemoryOptions(**options))


def test_the_least_that_was_free_is_kept() -> None:
    found = watch(*(Memory(100, free) for free in (50, 20, 70)))
    for _ in range(3):
        found.look()
    assert found.left == {"one": 20}


@pytest.mark.parametrize("silent", [Memory(), Memory(100, None), Memory(None, 5)])
def test_a_device_that_does_not_say_is_left_out(silent: Memory) -> None:
    found = watch(silent)
    found.look()
    found.check()
    assert found.left == {}


def test_below_the_floor_the_machine_lacks_memory_until_it_has_some_again(machine: Machine) -> None:
    found = watch(*(Memory(machine.total, machine.total // part) for part in (2, 200, 2)))
    found.look()
    found.check()
    found.look()
    with pytest.raises(OutOfMemory, match=r"one has \d+ MiB left, and jobs end below \d+ MiB"):
        found.check()
    found.look()
    found.check()


def test_another_devices_memory_may_run_low(machine: Machine) -> None:
    found = watch(Memory(machine.total - 1, 1))
    found.look()
    found.check()


def test_without_a_floor_no_job_ends(machine: Machine) -> None:
    found = watch(Memory(machine.total, 1), floor=0)
    found.look()
    found.check()


def test_it_looks_until_it_is_stopped() -> None:
    found = watch(*(Memory(1000, free) for free in range(900, 0, -1)), every=0.001)
    found.start()
    limit = time.monotonic() + 30
    while found.left["one"] > 880 and time.monotonic() < limit:
        time.sleep(0.01)
    found.stop()
    before = found.left["one"]
    time.sleep(0.05)
    assert before == found.left["one"] <= 880
    found.stop()


def test_never_is_once_at_the_start() -> None:
    found = watch(Memory(1000, 900), Memory(1000, 1), every=0)
    found.start()
    found.stop()
    assert found.left == {"one": 900}


def test_a_device_that_fails_is_logged_and_ends_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    said = iter([Memory(10, 5)])
    device: Any = SimpleNamespace(memory=lambda: next(said))
    found = Watch({"one": device}, MemoryOptions(every=0.001))
    with caplog.at_level(logging.ERROR):
        found.start()
        limit = time.monotonic() + 30
        while not caplog.records and time.monotonic() < limit:
            time.sleep(0.01)
    found.stop()
    assert "not looked at any longer" in caplog.text
    assert found.left == {"one": 5}


def test_a_job_tells_what_was_left_and_its_picture_does_not(tmp_path: Path) -> None:
    with opened(tmp_path) as host:
        result = host.run(PICTURE)
    total = system_memory().total
    assert total
    assert 0 < result.applied[LEFT]["cpu"] < total
    picture: Any = result.artifacts[0].open()
    assert LEFT not in json.dumps(picture.info)
    assert "latentry-memory" not in {thread.name for thread in threading.enumerate()}


def test_a_job_that_fails_is_watched_no_longer(tmp_path: Path) -> None:
    def failing(stage: Any) -> Iterator[None]:
        yield
        if stage.name == "load":
            raise ValueError("broken")

    with opened(tmp_path, SimpleNamespace(run_stage=hookimpl(wrapper=True)(failing))) as host:
        with pytest.raises(Exception, match="broken"):
            host.run(PICTURE)
        assert "latentry-memory" not in {thread.name for thread in threading.enumerate()}


def test_what_was_left_of_an_accelerator_is_what_the_job_did_not_hold(tmp_path: Path) -> None:
    size = GIGABYTE
    asked = PICTURE.model_copy(update={"place": {"*": "fake"}, "width": 256, "height": 256})
    with opened(tmp_path, FakeAccelerator(bytes=size), every=0.001) as host:
        Ledger().restart()
        left = host.run(asked).applied[LEFT]["fake"]
        assert size - Ledger().peak <= left < size - Ledger().now


def test_where_the_machine_has_nearly_none_the_job_ends_with_advice_and_the_next_runs(
    tmp_path: Path, machine: Machine
) -> None:
    with opened(tmp_path, every=0.001) as host:
        plenty, machine.available = machine.available, machine.total // 1000
        with pytest.raises(OutOfMemory, match=r"jobs end below .* ask for a smaller picture"):
            host.run(PICTURE)
        machine.available = plenty
        assert host.run(PICTURE).artifacts


def test_a_lack_in_the_midst_of_sampling_has_the_job_tried_again(tmp_path: Path, machine: Machine) -> None:
    plenty, steps = machine.available, list[int]()

    def on_event(event: Any) -> None:
        machine.available = plenty
        if isinstance(event, Stepped):
            steps.append(event.step)
            if len(steps) == 2:
                machine.available = machine.total // 1000
                time.sleep(0.5)

    with opened(tmp_path, every=0.005) as host:
        plain = host.run(PICTURE)
        result = host.run(PICTURE, on_event=on_event)
    assert steps == [1, 2, 1, 2, 3, 4]
    assert AGAIN in result.applied["notes"]
    assert plain.artifacts[0].open().tobytes() == result.artifacts[0].open().tobytes()
