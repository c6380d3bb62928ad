"""Every hook once, on 8 × 8 pictures of plain floats."""

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from latentry_sdk import (
    DeviceReport,
    DeviceSpec,
    Event,
    ExecutorSpec,
    ModelEntry,
    ModelFamily,
    OptimizerSpec,
    OutOfMemory,
    Placement,
    PlacementRequest,
    Plan,
    QuantizerSpec,
    SamplerSpec,
    SchedulerSpec,
    StageSpec,
    State,
    StoreSpec,
    SurfaceSpec,
    TaskSpec,
    hookimpl,
)
from latentry_toy import keeping, painter, solving
from latentry_toy.grid import as_text
from latentry_toy.stages import STAGES, TRAIL, ToyOptions, check_size

log = logging.getLogger(__name__)
ROLES = {role: f"toy.{role}" for role in ("encode_prompt", "encode_image", "noise", "denoise", "decode")}


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The Python interpreter, for components of kind "toy"."""
    return [
        DeviceSpec("toy", keeping.probe, keeping.open_device, frozenset({"toy"}), description="Plain Python")
    ]


@hookimpl
def register_schedulers() -> Sequence[SchedulerSpec]:
    """One noise schedule."""
    return [SchedulerSpec("toy_even", solving.toy_even, description="Even in the logarithm")]


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """Two solvers, one of them stochastic and with an option."""
    return [
        SamplerSpec("toy_euler", solving.toy_euler, order=1, description="Euler's method"),
        SamplerSpec(
            "toy_ancestral",
            solving.toy_ancestral,
            stochastic=True,
            options=solving.AncestralOptions,
            description="Euler with fresh noise at each step",
        ),
    ]


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """Memory for time: pictures are painted once."""
    return [OptimizerSpec("toy-remember", frozenset({"painter"}), keeping.twice, keeping.remember)]


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """Fewer levels for the painter's weights."""
    return [QuantizerSpec("toy-round", ("int8", "int1"), frozenset({"painter"}), keeping.round_weights)]


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The steps of the task."""
    return STAGES


@hookimpl
def register_tasks() -> Sequence[TaskSpec]:
    """`latentry toy "a cross"`."""
    return [
        TaskSpec(
            "toy",
            stages=("load", "@encode_prompt", "@noise", "@denoise", "toy.start", "sample", "@decode"),
            options=ToyOptions,
            formats=("pgm",),
            model="toy",
            check=check_size,
            description="Draw a pattern on 8 × 8 pixels: blank, cross, left, ring or top",
        )
    ]


@hookimpl
def register_models() -> Sequence[ModelFamily]:
    """The painter's family."""
    return [
        ModelFamily(
            "toy", painter.detect, painter.load, ROLES, kind="toy", operations=painter.operations,
            description="Five patterns and their exact denoiser",
        )
    ]  # fmt: skip


@hookimpl
def register_surfaces() -> Sequence[SurfaceSpec]:
    """Prompts by lines."""
    return [SurfaceSpec("toy-lines", keeping.serve_lines, description="Prompts from stdin, pictures as text")]


@hookimpl
def register_executors() -> Sequence[ExecutorSpec]:
    """Jobs in another thread."""
    return [ExecutorSpec("toy-thread", keeping.ThreadExecutor, description="One thread beside the caller's")]


@hookimpl
def register_stores() -> Sequence[StoreSpec]:
    """Records as files."""
    return [StoreSpec("toy-json", keeping.JsonStore, description="A JSON file for each job")]


@hookimpl
def register_commands(cli: click.Group) -> None:
    """`latentry toy-show FILE`."""

    @cli.command("toy-show")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def show(file: Path) -> None:
        """Print a picture of the toy as text."""
        with file.open("rb") as opened:
            click.echo(as_text(opened.read(1024)))


@hookimpl
def list_models() -> Sequence[ModelEntry]:
    """The toy's model."""
    return [ModelEntry("toy", painter.MODEL, "Five patterns on 8 × 8 pixels")]


@hookimpl
def find_model(ref: str | None) -> Path | None:
    """The toy's model by its name, before a folder that happens to be called so."""
    return painter.MODEL if ref == "toy" else None


@hookimpl(specname="find_model", trylast=True)
def find_default_model(ref: str | None) -> Path | None:
    """The toy's model where no other plugin has a default."""
    return painter.MODEL if ref is None else None


@hookimpl
def choose_device(request: PlacementRequest, devices: Mapping[str, DeviceReport]) -> Placement | None:
    """Toy components stay on the toy."""
    return Placement("toy", "float64") if request.kind == "toy" and "toy" in devices else None


@hookimpl(trylast=True)
def fit_memory(plan: Plan) -> Plan | None:
    """Count the toy's weights, 8 bytes each, where no other plugin estimates."""
    if plan.family.name != "toy":
        return None
    return replace(plan, memory={"toy": 8 * sum(plan.detected.components.values())})


@hookimpl(trylast=True)
def retry_job(plan: Plan, error: OutOfMemory | MemoryError) -> Plan | None:
    """Do without what remembers, and so takes memory."""
    rest = tuple(spec for spec in plan.optimizers if spec.name != "toy-remember")
    return (
        None if rest == plan.optimizers else replace(plan, optimizers=rest, notes=(*plan.notes, str(error)))
    )


@hookimpl(wrapper=True)
def run_stage(stage: StageSpec, state: State) -> Generator[None, State, State]:
    """Write down the way that a job takes."""
    after = yield
    return after.put(TRAIL, (*state.get(TRAIL, ()), stage.name))


@hookimpl
def on_event(event: Event) -> None:
    """Tell the log."""
    log.debug("%s", event)
