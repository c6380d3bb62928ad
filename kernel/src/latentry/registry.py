"""Everything the active plugins gave, by kind and name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, TypeVar

from latentry.errors import DuplicateName, UnknownName
from latentry.specs import (
    DeviceSpec,
    ExecutorSpec,
    ModelFamily,
    OptimizerSpec,
    QuantizerSpec,
    SamplerSpec,
    SchedulerSpec,
    Spec,
    StageSpec,
    StoreSpec,
    SurfaceSpec,
    TaskSpec,
)

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Table(Mapping[str, S], Generic[S]):
    """The specs of one kind by name, and who owns each."""

    kind: str
    specs: Mapping[str, S] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> S:
        """The spec of this name or alias; `UnknownName` lists the legal names."""
        found = self.specs.get(name) or self.specs.get(self.aliases.get(name.lower(), ""))
        if found is None:
            raise UnknownName(self.kind, name, self.specs)
        return found

    def added(self, owner: str, specs: Sequence[S]) -> "Table[S]":
        """A table with `specs` in it too; `DuplicateName` names both owners."""
        table = self
        for spec in specs:
            aliases = {alias.lower(): spec.name for alias in getattr(spec, "aliases", ())}
            for name in (spec.name, *aliases):
                table._refuse_taken(name, owner)
            table = replace(
                table,
                specs={**table.specs, spec.name: spec},
                owners={**table.owners, spec.name: owner},
                aliases={**table.aliases, **aliases},
            )
        return table

    def _refuse_taken(self, name: str, owner: str) -> None:
        taken = self.owners.get(self.aliases.get(name, name))
        if taken is not None:
            raise DuplicateName(f"{self.kind} {name!r} is given by both {taken!r} and {owner!r}")

    def __getitem__(self, name: str) -> S:
        return self.specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


@dataclass(frozen=True)
class Registry:
    """One table for each collecting hook; the field `devices` belongs to `register_devices`, and so on."""

    devices: Table[DeviceSpec] = Table("device")
    schedulers: Table[SchedulerSpec] = Table("scheduler")
    samplers: Table[SamplerSpec] = Table("sampler")
    optimizers: Table[OptimizerSpec] = Table("optimizer")
    quantizers: Table[QuantizerSpec] = Table("quantizer")
    stages: Table[StageSpec] = Table("stage")
    tasks: Table[TaskSpec] = Table("task")
    models: Table[ModelFamily] = Table("model family")
    surfaces: Table[SurfaceSpec] = Table("surface")
    executors: Table[ExecutorSpec] = Table("executor")
    stores: Table[StoreSpec] = Table("store")

    def merged(self, owner: str, provided: Mapping[str, Sequence[Any]]) -> "Registry":
        """A registry that holds what `owner` provides by hook as well: all of it, or an error."""
        changed = {
            kind.name: getattr(self, kind.name).added(owner, provided[hook])
            for kind in fields(self)
            if (hook := f"register_{kind.name}") in provided
        }
        return replace(self, **changed)
