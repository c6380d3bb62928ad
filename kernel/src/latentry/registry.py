"""Everything the active plugins gave, by kind and name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Any, Generic, TypeVar

from latentry import specs
from latentry.errors import DuplicateName, UnknownName

S = TypeVar("S", bound=specs.Spec)


@dataclass(frozen=True)
class Table(Mapping[str, S], Generic[S]):
    """The specs of one class by name, and who owns each; messages call them `kind`."""

    kind: str
    holds: type[S]
    specs: Mapping[str, S] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> S:
        """The spec of this name or alias, whatever its case; `UnknownName` lists the legal names."""
        found = self.specs.get(name) or self.specs.get(self.aliases.get(name.lower(), name.lower()))
        if found is None:
            raise UnknownName(self.kind, name, self.specs)
        return found

    def added(self, spec: S, *, owner: str) -> "Table[S]":
        """A table with `spec` in it too; `DuplicateName` names both owners."""
        aliases = {alias.lower(): spec.name for alias in spec.aliases}
        for name in (spec.name, *aliases):
            if taken := self.owners.get(self.aliases.get(name, name)):
                raise DuplicateName(f"{self.kind} {name!r} is given by both {taken!r} and {owner!r}")
        aliases = {**self.aliases, **aliases}
        owners = {**self.owners, spec.name: owner}
        return replace(self, specs={**self.specs, spec.name: spec}, owners=owners, aliases=aliases)

    def __getitem__(self, name: str) -> S:
        return self.specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


@dataclass(frozen=True)
class Registry:
    """One table for each collecting hook; the field `devices` belongs to `register_devices`, and so on."""

    devices: Table[specs.DeviceSpec] = Table("device", specs.DeviceSpec)
    schedulers: Table[specs.SchedulerSpec] = Table("scheduler", specs.SchedulerSpec)
    samplers: Table[specs.SamplerSpec] = Table("sampler", specs.SamplerSpec)
    optimizers: Table[specs.OptimizerSpec] = Table("optimizer", specs.OptimizerSpec)
    quantizers: Table[specs.QuantizerSpec] = Table("quantizer", specs.QuantizerSpec)
    stages: Table[specs.StageSpec] = Table("stage", specs.StageSpec)
    tasks: Table[specs.TaskSpec] = Table("task", specs.TaskSpec)
    models: Table[specs.ModelFamily] = Table("model family", specs.ModelFamily)
    surfaces: Table[specs.SurfaceSpec] = Table("surface", specs.SurfaceSpec)
    executors: Table[specs.ExecutorSpec] = Table("executor", specs.ExecutorSpec)
    stores: Table[specs.StoreSpec] = Table("store", specs.StoreSpec)

    def merged(self, owner: str, provided: Mapping[str, Sequence[Any]]) -> "Registry":
        """A registry that holds what `owner` provides by hook as well: all of it, or an error."""
        tables = {}
        for hook in COLLECTED.keys() & provided.keys():
            name = hook.removeprefix("register_")
            tables[name] = reduce(partial(Table.added, owner=owner), provided[hook], getattr(self, name))
        return replace(self, **tables)


COLLECTED = {f"register_{name}": table.holds for name, table in vars(Registry()).items()}
"""The collecting hooks and what each returns."""
