"""The toy's device, optimizer, quantizer, executor, store and surface."""

import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from latentry_sdk import (
    Component,
    Device,
    DeviceReport,
    Executor,
    Footprint,
    Host,
    Job,
    JobRecord,
    Memory,
    Options,
    Placed,
    PluginError,
    Request,
    Result,
    Unavailable,
    Undo,
    UserError,
    Work,
)
from latentry_toy.grid import as_text
from latentry_toy.painter import with_weights


@dataclass
class ToyPlaced:
    """A component that runs in Python, until it is closed."""

    call: Callable[..., Any] | None
    home: str = "toy"
    dtype: str = "float64"

    def __call__(self, *arrays: Any) -> Any:
        """What the component gives."""
        if self.call is None:
            raise PluginError("a closed component was called")
        return self.call(*arrays)

    def close(self) -> None:
        """Let go of the component; may be called twice."""
        self.call = None


class ToyDevice:
    """The Python interpreter as a device."""

    def place(self, component: Component, dtype: str | None) -> Placed:
        """The component as it is: Python has one type of float."""
        if dtype not in (None, "float64"):
            raise Unavailable(f"the toy device does not compute in {dtype}", fix="leave dtype out")
        return ToyPlaced(component.module)

    def activate(self) -> AbstractContextManager[None]:
        """Nothing to set up."""
        return nullcontext()

    def memory(self) -> Memory:
        """Not known."""
        return Memory()

    def close(self) -> None:
        """Nothing is held."""


def probe() -> DeviceReport:
    """Always there."""
    return DeviceReport(True, "plain Python", dtypes=("float64",))


def open_device(_options: Options) -> Device:
    """The device."""
    return ToyDevice()


def twice(footprint: Footprint, _work: Work) -> Footprint:
    """What is kept, and as much again for the pictures."""
    return replace(footprint, kept=2 * footprint.kept)


def remember(component: Component, _device: Device) -> tuple[Component, Undo]:
    """Keep what the painter has painted; the undo forgets it."""
    known = cache(component.module)
    return replace(component, module=known), known.cache_clear


def round_weights(component: Component, scheme: str) -> Component:
    """The painter with weights on 2 (int1) or 256 (int8) even levels from -1 to 1."""
    top = {"int1": 1, "int8": 255}[scheme]
    weights = {
        name: tuple(round((value + 1) / 2 * top) / top * 2 - 1 for value in values)
        for name, values in component.module.weights.items()
    }
    return with_weights(component, weights)


class ThreadExecutor:
    """Runs each job as the inline executor does, in a thread of its own."""

    def __init__(self, host: Host) -> None:
        self._inner: Executor = host.registry.executors["inline"].open(host)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="toy")

    def run(self, job: Job) -> Result:
        """Wait for the job; raises what it raised."""
        return self._threads.submit(self._inner.run, job).result()

    def close(self) -> None:
        """Wait for the thread, and give back the devices."""
        self._threads.shutdown()
        self._inner.close()


class JsonStore:
    """One JSON file a record, oldest first by the number in its name.

    Results and inputs that are no text live as long as the store: the files are without them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "toy-jobs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._records: dict[str, JobRecord] = {file.stem[9:]: _read(file) for file in self._files()}
        self._lock = threading.Lock()

    def put(self, record: JobRecord) -> None:
        """Write the record's file."""
        with self._lock:
            self._records[record.id] = record
            number = list(self._records).index(record.id)
            file = self._folder / f"{number:08}-{record.id}.json"
            unfinished = file.with_suffix(".part")
            unfinished.write_text(json.dumps(_written(record)), encoding="utf-8")
            os.replace(unfinished, file)

    def get(self, job: str) -> JobRecord | None:
        """The record of this id, if it is kept."""
        return self._records.get(job)

    def records(self) -> tuple[JobRecord, ...]:
        """All records, oldest first, those of earlier processes too."""
        with self._lock:
            return tuple(self._records.values())

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))


def serve_lines(host: Host) -> None:
    """Read a prompt a line from stdin, and print its picture."""
    for line in sys.stdin:
        try:
            result = host.run(Request(task="toy", prompt=line.strip()))
        except UserError as exc:
            sys.stderr.write(f"{exc}\n")
        else:
            sys.stdout.write(as_text(result.artifacts[0].data) + "\n")


def _written(record: JobRecord) -> dict[str, Any]:
    request = record.request.model_dump(mode="json", exclude={"inputs"})
    request["inputs"] = {name: given for name, given in record.request.inputs.items() if type(given) is str}
    return {"status": record.status, "error": record.error, "request": request}


def _read(file: Path) -> JobRecord:
    kept = json.loads(file.read_text(encoding="utf-8"))
    return JobRecord(file.stem[9:], Request.model_validate(kept["request"]), kept["status"], kept["error"])
