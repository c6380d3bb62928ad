"""What the kernel gives through the same hooks as any plugin: the last word in each choice."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from latentry import engine, specs
from latentry.config import Config
from latentry.errors import InvalidRequest
from latentry.hooks import hookimpl
from latentry.job import Job
from latentry.request import Result
from latentry.residents import Residents
from latentry.state import State
from latentry.types import Placement, PlacementRequest, Reports

if TYPE_CHECKING:
    from latentry.host import Host

KEPT_RECORDS = 256


class InlineExecutor:
    """Runs jobs in the calling thread, one at a time: a device and a model serve one job only."""

    def __init__(self, host: "Host") -> None:
        self._hook = host.hook
        self._residents = Residents(host.registry)
        self._lock = threading.Lock()

    def run(self, job: Job) -> Result:
        """Run to the end; raises what the job raised."""
        with self._lock:
            return engine.run(job, self._hook, self._residents)

    def close(self) -> None:
        """Give back devices and models."""
        with self._lock:
            self._residents.close()


class MemoryStore:
    """Keeps the newest 256 records, for as long as the process lives.

    Each step is one call of the dictionary's, which no thread interrupts.
    """

    def __init__(self, _folder: Path) -> None:
        self._records: dict[str, specs.JobRecord] = {}

    def put(self, record: specs.JobRecord) -> None:
        """Add or replace; the oldest record goes when there are too many."""
        self._records[record.id] = record
        for oldest in [*self._records][:-KEPT_RECORDS]:
            self._records.pop(oldest, None)

    def get(self, job: str) -> specs.JobRecord | None:
        """The record of this id, if it is kept."""
        return self._records.get(job)

    def records(self) -> tuple[specs.JobRecord, ...]:
        """All records, oldest first."""
        return (*self._records.values(),)


class Builtin:
    """The kernel's own plugin."""

    def __init__(self, config: Config) -> None:
        self._models = config.models_dir

    @hookimpl
    def register_stages(self) -> Sequence[specs.StageSpec]:
        """The two stages every task shares."""
        return engine.STAGES

    @hookimpl
    def register_executors(self) -> Sequence[specs.ExecutorSpec]:
        """The executor of the command line and of tests."""
        return (specs.ExecutorSpec("inline", InlineExecutor, description="Here, one job at a time"),)

    @hookimpl
    def register_stores(self) -> Sequence[specs.StoreSpec]:
        """The store of the command line and of tests."""
        return (specs.StoreSpec("memory", MemoryStore, description="In memory, gone with the process"),)

    @hookimpl(trylast=True)
    def find_model(self, ref: str | None) -> Path | None:
        """A folder or file given by its path, or a name in the models folder."""
        if ref is None:
            return None
        if not ref.isprintable():
            raise InvalidRequest("a model's name holds no control characters")
        named = next((entry.path for entry in self.list_models() if entry.name == ref), None)
        with suppress(OSError, ValueError, RuntimeError):  # what is no path is no model
            path = named or Path(ref).expanduser()
            return path if path.exists() else None
        return None

    @hookimpl
    def list_models(self) -> Sequence[specs.ModelEntry]:
        """What lies in the models folder."""
        indices, files = self._models.glob("*/model_index.json"), self._models.glob("*.safetensors")
        folders = [specs.ModelEntry(index.parent.name, index.parent) for index in sorted(indices)]
        return folders + [specs.ModelEntry(file.stem, file) for file in sorted(files)]

    @hookimpl(trylast=True)
    def choose_device(self, request: PlacementRequest, devices: Reports) -> Placement | None:
        """What was named, otherwise the highest rank."""
        best = request.wanted or max(devices, key=lambda name: devices[name].rank, default=None)
        return Placement(best) if best else None

    @hookimpl(trylast=True)
    def run_stage(self, stage: specs.StageSpec, state: State) -> State | None:
        """Run it."""
        return stage.run(state)
