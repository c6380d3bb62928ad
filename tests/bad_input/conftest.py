"""A host on the embedded model, and trials on it: refused in one line and in bounds, or accepted."""

import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from latentry import Config, Host, Request, Result, UserError
from latentry.events import Event, StageStarted
from latentry_cli import run as command_line

GOOD: Mapping[str, Any] = {"prompt": "a red apple", "steps": 1, "seed": 1}
SECONDS = 20.0
"""For a refusal. It takes milliseconds; the bound is for machines that do other things as well."""
MEGABYTES = 400
"""What a refusal may add to the peak of memory: a picture at the limit of 64 megapixels fits."""
LONGEST_LINE = 1000


class Accepted(Exception):
    """What should have been refused got as far as loading weights."""


@contextmanager
def bounded(seconds: float = SECONDS, megabytes: float = MEGABYTES) -> Iterator[None]:
    """Fail when what is inside takes longer, or raises the peak of this process's memory by more."""
    before, began = reset_peak(), perf_counter()
    yield
    assert perf_counter() - began < seconds
    assert peak() - before < megabytes * 1e6


def reset_peak() -> float:
    """Forget the peak where the system can, and say how much memory is in use: bytes."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The most memory this process held since the last reset: bytes."""
    if sys.platform != "linux":
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


@dataclass(frozen=True)
class Trial:
    """Runs requests on the host that all tests of a module share."""

    host: Host
    inputs: Mapping[str, Path]

    def refused(self, *, before: str = "load", **fields: Any) -> str:
        """The message of the one-line error the request ends with, before the stage named `before`."""

        def watch(event: Event) -> None:
            if isinstance(event, StageStarted) and event.stage == before:
                raise Accepted(f"reached the stage {before}")

        with bounded(), pytest.raises((UserError, ValidationError)) as caught:
            self.host.run(self.request(**fields), on_event=watch)
        if isinstance(caught.value, UserError):
            assert len(str(caught.value).splitlines()) == 1
            assert len(str(caught.value)) < LONGEST_LINE
        return str(caught.value)

    def accepted(self, **fields: Any) -> Result:
        """The result of a request that must work."""
        return self.host.run(self.request(**fields))

    def request(self, *, task: str = "txt2img", **fields: Any) -> Request:
        """A small job with `fields` changed; `image` and `mask` are inputs of inpainting."""
        given = {name: fields.pop(name) for name in ("image", "mask") if name in fields}
        if task == "inpaint":
            fields["inputs"] = {**self.inputs, **given}
        return Request(task=task, **{**GOOD, **fields})


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Shell:
    """Runs commands in this process, in an empty folder of their own."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Said:
        self.capture.readouterr()
        code = command_line(arguments)
        return Said(code, *self.capture.readouterr())

    def refused(self, *arguments: str) -> str:
        """The one line on stderr; the exit code is 2, stdout is empty and no file has changed."""
        before = listing(self.folder)
        with bounded():
            said = self(*arguments)
        assert (said.code, said.stdout) == (2, ""), said
        (line,) = said.stderr.splitlines()
        assert line.startswith("latentry: ")
        assert len(line) < LONGEST_LINE
        assert listing(self.folder) == before
        return line


def listing(folder: Path) -> Sequence[tuple[str, int, int]]:
    """Every file below `folder`, hidden ones included, with its size and time of change."""
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins, on folders of its own."""
    folder = tmp_path_factory.mktemp("host")
    config = Config(models_dir=folder / "models", data_dir=folder / "data", cache_dir=folder / "cache")
    (folder / "models").mkdir()
    with Host(config=config) as host:
        yield host


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A picture and a mask of 64 × 64 pixels."""
    folder = tmp_path_factory.mktemp("inputs")
    image, mask = Image.new("RGB", (64, 64), "teal"), Image.new("L", (64, 64))
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=255)
    image.save(folder / "image.png")
    mask.save(folder / "mask.png")
    return {"image": folder / "image.png", "mask": folder / "mask.png"}


@pytest.fixture(scope="module")
def trial(host: Host, inputs: Mapping[str, Path]) -> Iterator[Trial]:
    """Trials; after all of a module's, a good job must still succeed."""
    trial = Trial(host, inputs)
    yield trial
    good_job(trial)


@pytest.fixture
def next_job_succeeds(trial: Trial) -> Iterator[None]:
    """Asserts it right after the test."""
    yield
    good_job(trial)


def good_job(trial: Trial) -> None:
    """An inpainted picture."""
    assert trial.accepted(task="inpaint").artifacts[0].open().size == (64, 64)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    """The command line in an empty folder, without a configuration of the user's."""
    for name in [name for name in os.environ if name.startswith("LATENTRY_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.setenv("LATENTRY_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("LATENTRY_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(folder)
    return Shell(folder, capfd)
