"""A request with every name resolved and every option parsed: what an executor runs."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from latentry import specs
from latentry.config import Config
from latentry.errors import PluginError
from latentry.header import ModelHeader
from latentry.request import Options, Request
from latentry.types import Detected, Placement

O = TypeVar("O", bound=Options)  # noqa: E741
Parsed = Mapping[tuple[str, str], Options]
"""The options of each part of a plan, by its kind and name: a task and a device may share a name."""


@dataclass(frozen=True)
class Plan:
    """Nothing in it can still be wrong on the user's side, except what is inside input files.

    `options` holds the parsed options of every part of the plan, see `options_for`; `quantizers` a (spec,
    scheme) by component; `config` the host's folders and limits; `further` the plans that the task and its
    stages work by beside this one, by their names. `memory` is the estimated peak of bytes on each device,
    and `seconds` the estimated time of the job, where a plugin estimates them; `notes` says in words what
    plugins changed. An optimizer in a plan may have fewer `parts` than the one that its plugin gave.
    """

    request: Request
    task: specs.TaskSpec
    stages: tuple[specs.StageSpec, ...]
    family: specs.ModelFamily
    header: ModelHeader
    detected: Detected
    placements: Mapping[str, Placement]
    sampler: specs.SamplerSpec
    scheduler: specs.SchedulerSpec
    sigmas: tuple[float, ...]
    seeds: tuple[int, ...]
    size: tuple[int, int]
    format: str
    options: Parsed
    quantizers: specs.Quantizers
    optimizers: tuple[specs.OptimizerSpec, ...]
    memory: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    config: Config = field(default_factory=Config)
    further: Mapping[str, "Plan | None"] = field(default_factory=dict)

    def options_of(self, kind: type[O]) -> O:
        """The parsed options declared as `kind`."""
        for options in self.options.values():
            if isinstance(options, kind):
                return options
        raise PluginError(f"no part of task {self.task.name!r} declares {kind.__name__}")

    def options_for(self, part: specs.Spec) -> Options:
        """The parsed options of a task, stage, sampler, scheduler or device of this plan."""
        return self.options[owner(part)]

    def model_key(self) -> Hashable:
        """Equal for two plans whose components hold the same weights."""
        quantized = sorted((part, spec.name, scheme) for part, (spec, scheme) in self.quantizers.items())
        return (self.family.name, self.header.path, self.header.signature(), tuple(quantized))

    def placement_key(self) -> Hashable:
        """Equal for two plans that keep components in the same way."""
        places = sorted((part, place.device, place.dtype or "") for part, place in self.placements.items())
        options = [(*part, value.model_dump_json()) for part, value in self.options.items()
                   if part[0] in ("DeviceSpec", "OptimizerSpec")]  # fmt: skip
        return (tuple(places), tuple(self.optimized()), tuple(sorted(options)))

    def optimized(self) -> list[str]:
        """Every application of an optimizer as `component=name`, in order."""
        return [f"{part}={spec.name}" for spec in self.optimizers for part in self.placements
                if spec.parts & {part, "*"}]  # fmt: skip

    def applied(self) -> Mapping[str, Any]:
        """What will be done, JSON-able: every choice, the user's and the planner's."""
        model, variant = self.header.path.name, self.detected.variant
        options = {name: value for (_, name), value in self.options.items() if type(value).model_fields}
        return {
            "task": self.task.name, "format": self.format, "seconds": self.seconds,
            "model": {"name": model, "family": self.family.name, "variant": variant},
            "sampler": self.sampler.name, "scheduler": self.scheduler.name, "steps": len(self.sigmas) - 1,
            "guidance": self.request.guidance, "seeds": [*self.seeds], "size": [*self.size],
            "placements": {part: place.device for part, place in self.placements.items()},
            "quantizers": {part: f"{spec.name}:{scheme}" for part, (spec, scheme) in self.quantizers.items()},
            "optimizers": self.optimized(), "memory": {**self.memory}, "notes": [*self.notes],
            "options": {name: value.model_dump(mode="json") for name, value in options.items()},
        }  # fmt: skip


def owner(part: specs.Spec) -> tuple[str, str]:
    """The key of a part's options."""
    return type(part).__name__, part.name
