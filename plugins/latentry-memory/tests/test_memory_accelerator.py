"""On a device whose memory is counted: plans fit, estimates are what is held, and a lack is overcome."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

import latentry_emoji
import latentry_images
import latentry_memory
import latentry_offload
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Config, Host, Request, Result
from latentry_memory.retrying import AGAIN
from latentry_sdk import DeviceReport, DeviceSpec, Memory, OutOfMemory, hookimpl
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger

PLUGINS = (
    latentry_stable_diffusion, latentry_txt2img, latentry_emoji, latentry_images, latentry_samplers,
    latentry_schedules, latentry_memory, latentry_offload,
)  # fmt: skip
MEGABYTE = 10**6
PICTURE = Request(
    task="txt2img", prompt="a red apple", seed=1, steps=2, width=256, height=256, place={"*": "fake"}
)
Open = Callable[..., Host]


@dataclass(frozen=True)
class Boasting(FakeAccelerator):
    """An accelerator that says it has ten times as much memory as it has."""

    @hookimpl
    def register_devices(self) -> Sequence[DeviceSpec]:
        told = Memory(10 * self.bytes, 10 * self.bytes)
        report = DeviceReport(True, "boasts", dtypes=("float32",), memory=told)
        return [replace(super().register_devices()[0], probe=lambda: report, memory=lambda: told)]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """`opened(accelerator)`: a host with the emoji model, this planner and real offloading."""
    with ExitStack() as hosts:

        def open_one(accelerator: FakeAccelerator) -> Host:
            config = Config(data_dir=tmp_path, models_dir=tmp_path / "models")
            return hosts.enter_context(Host([*PLUGINS, accelerator], config))

        yield open_one


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The picture where there is plenty of memory."""
    folder = tmp_path_factory.mktemp("plain")
    with Host([*PLUGINS, FakeAccelerator(bytes=10**9)], Config(data_dir=folder, models_dir=folder)) as host:
        return host.run(PICTURE)


def test_with_plenty_of_memory_nothing_is_added_and_the_estimate_is_what_is_held(
    opened: Open, plain: Result
) -> None:
    host = opened(FakeAccelerator(bytes=10**9))
    Ledger().restart()
    result = host.run(PICTURE)
    assert result.applied["optimizers"] == []
    assert result.artifacts[0].data == plain.artifacts[0].data
    assert result.applied["memory"]["fake"] == pytest.approx(Ledger().peak, rel=0.05)


@pytest.mark.parametrize("megabytes", [84, 72, 62, 54])
def test_a_job_fits_into_less_memory_and_gives_the_same_picture(
    opened: Open, plain: Result, megabytes: int
) -> None:
    host = opened(FakeAccelerator(bytes=megabytes * MEGABYTE))
    Ledger().restart()
    result = host.run(PICTURE)
    assert result.applied["optimizers"]
    assert AGAIN not in result.applied["notes"]
    assert result.applied["memory"]["fake"] == pytest.approx(Ledger().peak, rel=0.15)
    assert result.applied["memory"]["fake"] <= 0.9 * megabytes * MEGABYTE
    assert result.artifacts[0].open().tobytes() == plain.artifacts[0].open().tobytes()


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae_decoder"])
def test_one_component_that_comes_whole_is_on_the_device_for_its_own_stage_alone(
    opened: Open, plain: Result, part: str
) -> None:
    host = opened(FakeAccelerator(bytes=10**9))
    Ledger().restart()
    result = host.run(PICTURE.model_copy(update={"optimizers": (f"{part}=model-offload",)}))
    assert result.applied["memory"]["fake"] == pytest.approx(Ledger().peak, rel=0.05)
    assert result.artifacts[0].open().tobytes() == plain.artifacts[0].open().tobytes()
    before = Ledger().now
    host.run(PICTURE)
    assert Ledger().now > before + 10**5, "what was home is there now"


def test_a_device_that_has_less_than_it_says_is_overcome_rung_by_rung(opened: Open, plain: Result) -> None:
    result = opened(Boasting(bytes=68 * MEGABYTE)).run(PICTURE)
    notes = result.applied["notes"]
    assert notes[0] == AGAIN
    assert notes[-1].startswith("ran out: added model-offload for text_encoder")
    assert result.artifacts[0].open().tobytes() == plain.artifacts[0].open().tobytes()


def test_what_nothing_overcomes_ends_in_advice_and_the_next_job_runs(opened: Open) -> None:
    host = opened(Boasting(bytes=20 * MEGABYTE))
    with pytest.raises(OutOfMemory, match=r"with all that could spare it: .*ask for a smaller picture"):
        host.run(PICTURE)
    small = partial(PICTURE.model_copy, update={"width": 64, "height": 64, "steps": 1})
    assert host.run(small()).artifacts
