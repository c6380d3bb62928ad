"""Plan a request: every user error is found here, before any weight is touched and without torch."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from latentry import specs
from latentry.config import Config
from latentry.errors import InvalidRequest, PluginError, UnknownName, UserError, blamed, check_known
from latentry.header import ModelHeader, read_header
from latentry.keys import FIRST
from latentry.placement import Placer
from latentry.plan import Parsed, Plan, owner
from latentry.registry import Registry
from latentry.request import MAX_SEED, Options, Request, parsed
from latentry.types import Detected, ModelRange


@dataclass(frozen=True)
class Planner:
    """Plans requests over what the active plugins gave."""

    registry: Registry
    hook: Any
    config: Config
    placer: Placer
    _known: dict[Any, tuple[specs.ModelFamily, Detected]] = field(default_factory=dict)

    def plan(self, request: Request) -> Plan:
        """The plan of `request`; raises a `UserError` that says what to change."""
        task = self.registry.tasks.find(request.task)
        _check_inputs(task, request)
        header = self._header(request.model or task.model or self.config.model)
        family, detected = self._family(header)
        stages = self._stages(task, family)
        sampler = self.registry.samplers.find(request.sampler or detected.sampler)
        scheduler = self.registry.schedulers.find(request.scheduler or detected.scheduler)
        _check_fit(detected, sampler, scheduler)
        placements = self.placer.placements(request, family, detected)
        optimizers = tuple(self.placer.optimizer(text, detected) for text in request.optimizers)
        used = {place.device for place in placements.values()}
        parts = [task, *dict.fromkeys(stages), sampler, scheduler, *map(self.registry.devices.find, used)]
        options = self._options(request, [*parts, *{spec.name: spec for spec in optimizers}.values()])
        plan = Plan(
            request=request, task=task, stages=stages, family=family, header=header, detected=detected,
            placements=placements, sampler=sampler, scheduler=scheduler,
            sigmas=_sigmas(scheduler, request.steps, detected.model_range, options[owner(scheduler)]),
            seeds=_seeds(request), size=self._size(request, detected), format=_format(task, request),
            quantizers=self.placer.quantizers(request, detected, placements), optimizers=optimizers,
            options=options, config=self.config,
        )  # fmt: skip
        with blamed(f"planning task {task.name!r}"):
            task.check(request, options[owner(task)])
            further = {part.name: part.further(plan, self.plan) for part in (task, *stages)}
            plan = replace(plan, further=further)
        devices = map(self.registry.devices.find, {*used, *request.fallback})
        found = {spec.name: self.placer.report(spec) for spec in devices}
        with blamed("the hook fit_memory"):
            return self.hook.fit_memory(plan=plan, optimizers=self.registry.optimizers, devices=found) or plan

    def models(self) -> list[specs.ModelEntry]:
        """The models that can be asked for by name."""
        with blamed("the hook list_models"):
            return [entry for entries in self.hook.list_models() for entry in entries]

    def _header(self, ref: str | None) -> ModelHeader:
        with blamed("the hook find_model"):
            path: Path | None = self.hook.find_model(ref=ref)
        if path is None:
            names = [entry.name for entry in self.models()]
            raise UnknownName("model", ref or "(the default)", names, fix="name one, or a folder or file")
        with _reading():
            return read_header(path)

    def _family(self, header: ModelHeader) -> tuple[specs.ModelFamily, Detected]:
        """What the families said of these files; they are asked once, until a file changes."""
        with _reading():
            key = header.signature()
        return self._known.get(key) or self._known.setdefault(key, self._detected(header))

    def _detected(self, header: ModelHeader) -> tuple[specs.ModelFamily, Detected]:
        for family in self.registry.models.values():
            with blamed(f"model family {family.name!r}"), _reading():
                if detected := family.detect(header):
                    return family, detected
        families = ", ".join(self.registry.models) or "none"
        raise UserError(f"{header.path.name} is of no installed model family ({families})")

    def _stages(self, task: specs.TaskSpec, family: specs.ModelFamily) -> tuple[specs.StageSpec, ...]:
        absent = {name for name in task.stages if name[-1] == "?" and name[:-1] not in self.registry.stages}
        stages = tuple(self._stage(name, task, family) for name in task.stages if name not in absent)
        given = {*FIRST}
        for stage in stages:
            if missing := [key.name for key in stage.needs if key.name not in given]:
                raise PluginError(f"task {task.name!r}: nothing before {stage.name!r} gives {missing[0]!r}")
            given |= {key.name for key in stage.gives}
        return stages

    def _stage(self, name: str, task: specs.TaskSpec, family: specs.ModelFamily) -> specs.StageSpec:
        if not name.startswith("@"):
            return self.registry.stages.find(name.removesuffix("?"))
        if (role := name[1:]) not in family.roles:
            raise InvalidRequest(f"{family.name!r} models cannot do {role}, which {task.name!r} needs")
        return self.registry.stages.find(family.roles[role])

    def _size(self, request: Request, detected: Detected) -> tuple[int, int]:
        width, height = request.width or detected.size[0], request.height or detected.size[1]
        for name, value in (("width", width), ("height", height)):
            if rest := value % (unit := detected.multiple):
                near = f"{value - rest} or {value - rest + unit}" if value > unit else f"{unit}"
                raise InvalidRequest(f"{name} {value} is no multiple of {unit}; {near} is")
        if width * height * request.batch > self.config.max_megapixels * 1e6:
            limit = f"{self.config.max_megapixels:g} megapixels"
            raise InvalidRequest(f"{request.batch} × {width} × {height} is more than {limit} in one job")
        return width, height

    def _options(self, request: Request, parts: Sequence[specs.Configurable]) -> Parsed:
        configurable = [part.name for part in parts if part.options.model_fields]
        perhaps = self.registry.optimizers if request.memory == "auto" else ()
        check_known("owner of options", request.options, [*configurable, *perhaps])
        if shared := {name for name in configurable if configurable.count(name) > 1}:
            raise PluginError(f"two parts of the job both take options as {min(shared)!r}")
        return {owner(part): self._parsed(request, part) for part in parts}

    def _parsed(self, request: Request, part: specs.Configurable) -> Options:
        given = {**self.config.options.get(part.name, {}), **request.options.get(part.name, {})}
        return parsed(part.options, given, where=f"{part.name}: ") if part.options.model_fields else Options()


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise InvalidRequest(f"the model cannot be read: {exc.strerror or exc}") from exc


def _check_inputs(task: specs.TaskSpec, request: Request) -> None:
    check_known("input", request.inputs, [spec.name for spec in task.inputs])
    for spec in task.inputs:
        if spec.required and request.inputs.get(spec.name) is None:
            raise InvalidRequest(f"task {task.name!r} needs the input {spec.name!r}: {spec.description}")


def _check_fit(detected: Detected, sampler: specs.SamplerSpec, scheduler: specs.SchedulerSpec) -> None:
    unfit = sampler.unguided and "unguided" not in detected.features
    for kind, spec in (("sampler", sampler), ("scheduler", scheduler)):
        if detected.model_range.space not in spec.spaces or (spec is sampler and unfit):
            raise InvalidRequest(f"{kind} {spec.name!r} does not fit {detected.variant} models")


def _sigmas(spec: specs.SchedulerSpec, steps: int, levels: ModelRange, options: Options) -> tuple[float, ...]:
    with blamed(f"scheduler {spec.name!r}"):
        sigmas = spec.sigmas(steps, levels, **dict(options))
    falling = all(isfinite(now) and nxt < now for now, nxt in pairwise(sigmas))
    if len(sigmas) != steps + 1 or sigmas[-1] != 0 or not falling:
        raise PluginError(f"scheduler {spec.name!r} gave levels that do not fall to 0 in {steps} steps")
    return sigmas


def _seeds(request: Request) -> tuple[int, ...]:
    first = int.from_bytes(os.urandom(4)) if request.seed in (None, -1) else int(request.seed or 0)
    return tuple((first + index) % (MAX_SEED + 1) for index in range(request.batch))


def _format(task: specs.TaskSpec, request: Request) -> str:
    name = {"jpg": "jpeg", "tif": "tiff"}.get(request.format or "", request.format or task.formats[0])
    check_known("format", [name], task.formats)
    return name
