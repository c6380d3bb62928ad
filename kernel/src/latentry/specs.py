"""What hooks return: frozen descriptions of what a plugin adds. Making one imports nothing heavy."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from latentry.errors import PluginError, shown
from latentry.header import ModelHeader
from latentry.request import Options, Request, Result
from latentry.state import Key, State
from latentry.types import Component, Detected, Device, DeviceReport, Footprint, Memory, Undo, Work

if TYPE_CHECKING:
    from latentry.host import Host
    from latentry.job import Job
    from latentry.plan import Plan

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, eq=False)
class Spec:
    """The base: a `name` of lower-case letters, digits, `_`, `.` and `-`, and one line of description.

    `aliases` are other names that find it, whatever their case.
    """

    name: str
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise PluginError(f"{shown(self.name)} is no name for a {type(self).__name__}")


@dataclass(frozen=True, eq=False)
class Configurable(Spec):
    """A part of a job that declares options for its user; a plan holds them parsed.

    A task or stage may work by a plan beside the job's own: `further(plan, planned)` gives it, or None, where
    `planned(request)` plans a request. `Plan.further` holds it by the part's name.
    """

    options: type[Options] = field(default=Options, kw_only=True)
    further: "Callable[..., Plan | None]" = field(default=lambda *_: None, kw_only=True)


@dataclass(frozen=True, eq=False)
class DeviceSpec(Configurable):
    """A place where components of the given `kinds` run.

    `probe()` looks at the machine, quickly and without heavy imports; `open(options)` gives the device.
    `memory()`, quick and light too, says what it has now, whenever a job is planned; what this process
    holds there already counts as free. Without it, what the probe found stands.
    """

    probe: Callable[[], DeviceReport]
    open: Callable[[Options], Device]
    kinds: frozenset[str] = frozenset({"torch"})
    memory: Callable[[], Memory] | None = None


@dataclass(frozen=True, eq=False)
class SchedulerSpec(Configurable):
    """A noise schedule: `sigmas(steps, model_range, **declared options)`.

    It gives steps + 1 levels, strictly decreasing, the last 0; `options` become keyword arguments.
    """

    sigmas: Callable[..., tuple[float, ...]]
    label: str = ""
    spaces: frozenset[str] = frozenset({"ve", "flow"})


@dataclass(frozen=True, eq=False)
class SamplerSpec(Configurable):
    """A solver: `sample(denoise, x, sigmas, *, on_step, [noise,] [unguided,] **declared options) -> x`.

    `order` is its order of accuracy in the step size; a `stochastic` one takes `noise(now, nxt)`, and a
    "brownian" one asks about intervals that overlap, and wants them to be of one motion over sigma.
    An `unguided` one takes `unguided(x, sigma)`: the clean picture that the model sees in `x` without the
    prompt, which costs nothing right after `denoise(x, sigma)`. Without guidance it is the same picture.
    `label` is the name other programs know it by, written to image metadata.
    """

    sample: Callable[..., Any]
    order: int = 1
    stochastic: bool | Literal["brownian"] = False
    unguided: bool = False
    spaces: frozenset[str] = frozenset({"ve"})
    label: str = ""


@dataclass(frozen=True, eq=False)
class OptimizerSpec(Configurable):
    """A memory or speed technique for components named in `parts` ("*" for any).

    `estimate(footprint, work, **declared options)` is the footprint of such a component with it;
    `apply(component, device, **declared options)` gives the changed component and its undo, which the host
    calls before the component is used without it.
    `rung` is its place on the ladder that `memory="auto"` climbs while a job does not fit: lower is cheaper.
    Without one it is used only where it is named. `error` bounds the relative distance of results, in L2.
    """

    parts: frozenset[str]
    estimate: Callable[..., Footprint]
    apply: Callable[..., tuple[Component, Undo]]
    rung: int | None = field(default=None, kw_only=True)
    error: float = field(default=1e-4, kw_only=True)


@dataclass(frozen=True, eq=False)
class QuantizerSpec(Spec):
    """Fewer bits for the weights of components named in `parts`, by one of `schemes`.

    `requires` lists what must be installed, as "torchao>=0.9"; `apply(component, scheme)` gives the new
    component, or fills one that is `stored` quantized. By scheme: `bits` is what one weight then takes,
    scales included, `errors` bounds the relative distance of results in L2, and `devices` names those that
    run it. A scheme without an entry counts as the weights did, promises 0.05 at 8 bits and 0.35 below, and
    runs everywhere.
    """

    schemes: tuple[str, ...]
    parts: frozenset[str]
    apply: Callable[[Component, str], Component]
    requires: tuple[str, ...] = ()
    bits: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    errors: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    devices: Mapping[str, frozenset[str]] = field(default_factory=dict, kw_only=True)


Quantizers = Mapping[str, tuple[QuantizerSpec, str]]
"""The quantizer of a component and its scheme, by the component's name."""


@dataclass(frozen=True, eq=False)
class StageSpec(Configurable):
    """One step of a task: `run(state) -> state`, which reads `needs` and puts `gives`.

    A key that `needs` names must be given by an earlier stage; what a stage only reads if it is there
    is not declared.
    """

    run: Callable[[State], State]
    needs: tuple[Key[Any], ...] = ()
    gives: tuple[Key[Any], ...] = ()


@dataclass(frozen=True)
class InputSpec:
    """A named input of a task."""

    name: str
    kind: Literal["image", "mask", "file"]
    required: bool = True
    description: str = ""


@dataclass(frozen=True, eq=False)
class TaskSpec(Configurable):
    """What a user can ask for: the stages in order, by name; `@role` is the model family's stage for it.

    A name that ends in `?` is left out where no plugin gives that stage.
    `check(request, options)` refuses, with a `UserError`, what no single field can; `model` is the
    reference used when the user names none; `formats` are file formats, the default first.
    """

    stages: tuple[str, ...]
    inputs: tuple[InputSpec, ...] = ()
    formats: tuple[str, ...] = ("png", "jpeg", "webp")
    model: str | None = None
    check: Callable[[Request, Any], None] = lambda _request, _options: None


@dataclass(frozen=True, eq=False)
class ModelFamily(Spec):
    """How a kind of checkpoint is recognised, loaded and called.

    `detect(header)` reads headers only; `load(header, detected)` gives the components, on the CPU;
    `roles` maps encode_prompt, encode_image, noise, denoise, decode … to names of stages; `kind` is the kind
    of its components, for the devices that run it.
    `work(plan, part)` is the largest call of a component in a job; `bytes` in it is not yet known.
    `activations(detected, work)` is how many values, beside the weights, such a call holds at its peak.
    `operations(plan, part)` is how many operations with floats a whole job asks of a component, a product and
    a sum being two. 0 stands for what is not known.
    """

    detect: Callable[[ModelHeader], Detected | None]
    load: Callable[[ModelHeader, Detected], Mapping[str, Component]]
    roles: Mapping[str, str]
    kind: str = "torch"
    work: Callable[["Plan", str], Work] = lambda plan, part: Work(part, plan.size, plan.request.batch)
    activations: Callable[[Detected, Work], int] = lambda _detected, _work: 0
    operations: Callable[["Plan", str], int] = lambda _plan, _part: 0


@dataclass(frozen=True, eq=False)
class SurfaceSpec(Spec):
    """A way for people or programs to reach a host: `serve(host)` returns when it is closed."""

    serve: Callable[["Host"], None]


class Executor(Protocol):
    """Runs jobs; safe to call from several threads."""

    def run(self, job: "Job") -> Result:
        """Run to the end; raises what the job raised, `Cancelled` when it was stopped."""

    def close(self) -> None:
        """Stop, and give back devices and models."""


@dataclass(frozen=True, eq=False)
class ExecutorSpec(Spec):
    """Where jobs run: `open(host)` gives the executor."""

    open: Callable[["Host"], Executor]


@dataclass(frozen=True)
class JobRecord:
    """A job as a store keeps it. `status` is queued, running, done, failed or cancelled."""

    id: str
    request: Request
    status: str = "queued"
    error: str | None = None
    result: Result | None = field(default=None, repr=False)


class Store(Protocol):
    """Keeps job records; safe to call from several threads."""

    def put(self, record: JobRecord) -> None:
        """Add the record, or replace the one of the same id."""

    def get(self, job: str) -> JobRecord | None:
        """The record of this id, if it is kept."""

    def records(self) -> tuple[JobRecord, ...]:
        """All records, oldest first."""


@dataclass(frozen=True, eq=False)
class StoreSpec(Spec):
    """Where jobs, results and history are kept: `open(folder)` gives the store."""

    open: Callable[[Path], Store]


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for by name, which may be any file's name."""

    name: str
    path: Path
    description: str = ""
