"""The extension points. A plugin implements any of them; all of them are described in docs/hooks.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import pluggy

from latentry import specs
from latentry.errors import OutOfMemory
from latentry.events import Event
from latentry.plan import Plan
from latentry.state import State
from latentry.types import Placement, PlacementRequest, Reports

Optimizers = Mapping[str, specs.OptimizerSpec]
hookspec = pluggy.HookspecMarker("latentry")
hookimpl = pluggy.HookimplMarker("latentry")


@hookspec
def register_devices() -> Sequence[specs.DeviceSpec]:  # type: ignore[empty-body]
    """Places where model components run."""


@hookspec
def register_schedulers() -> Sequence[specs.SchedulerSpec]:  # type: ignore[empty-body]
    """Noise schedules."""


@hookspec
def register_samplers() -> Sequence[specs.SamplerSpec]:  # type: ignore[empty-body]
    """Solvers of the sampling equation."""


@hookspec
def register_optimizers() -> Sequence[specs.OptimizerSpec]:  # type: ignore[empty-body]
    """Memory and speed techniques."""


@hookspec
def register_quantizers() -> Sequence[specs.QuantizerSpec]:  # type: ignore[empty-body]
    """Ways to keep weights in fewer bits."""


@hookspec
def register_stages() -> Sequence[specs.StageSpec]:  # type: ignore[empty-body]
    """Steps that tasks are made of."""


@hookspec
def register_tasks() -> Sequence[specs.TaskSpec]:  # type: ignore[empty-body]
    """What a user can ask for."""


@hookspec
def register_models() -> Sequence[specs.ModelFamily]:  # type: ignore[empty-body]
    """Families of checkpoints."""


@hookspec
def register_surfaces() -> Sequence[specs.SurfaceSpec]:  # type: ignore[empty-body]
    """Ways to reach the host: servers, web pages, shells."""


@hookspec
def register_executors() -> Sequence[specs.ExecutorSpec]:  # type: ignore[empty-body]
    """Places where jobs run: in process, in worker processes, on a cluster."""


@hookspec
def register_stores() -> Sequence[specs.StoreSpec]:  # type: ignore[empty-body]
    """Places where jobs, results and history are kept."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add subcommands of `latentry` to `cli`, an empty group of the plugin's own that the host merges."""


@hookspec
def list_models() -> Sequence[specs.ModelEntry]:  # type: ignore[empty-body]
    """Models on this machine that can be asked for by name; called when a list is wanted."""


@hookspec(firstresult=True)
def find_model(ref: str | None) -> Path | None:
    """The folder or `.safetensors` file that `ref` names; `None` asks for the default model."""


@hookspec(firstresult=True)
def choose_device(request: PlacementRequest, devices: Reports) -> Placement | None:
    """Where a component runs, among available devices that run its kind; `None` leaves it to the next."""


@hookspec(firstresult=True)
def fit_memory(plan: Plan, optimizers: Optimizers, devices: Reports) -> Plan | None:
    """The plan made to fit the devices as they are now; a `UserError` where nothing makes it fit."""


@hookspec(firstresult=True)
def retry_job(plan: Plan, optimizers: Optimizers, error: OutOfMemory | MemoryError) -> Plan | None:
    """What to try after `plan` ran out of memory; `None` leaves it to the next, and at last gives up."""


@hookspec(firstresult=True)
def run_stage(stage: specs.StageSpec, state: State) -> State | None:
    """Run a stage. A plugin wraps this to time stages, move weights or check for NaN."""


@hookspec
def on_event(event: Event) -> None:
    """Something happened to a job. What this raises is logged and changes nothing."""
