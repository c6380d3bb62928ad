"""Optimizers that a plan may be given beside those that its user named, and what they are set to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from latentry_sdk import OptimizerSpec, Options, Plan, parsed

OFFLOAD = 50
"""From this rung on, weights leave the device: a component has one such optimizer at most."""

PIECES = 60
"""From this rung on, they come for each call, in pieces; below, all together and once a job."""

DISK = 80
"""The rung on which they rest on disk: the slowest, for where nothing else fits."""

KEEP = "keep"
"""The option of an optimizer that says how many bytes of a component's weights stay on the device."""


@dataclass(frozen=True)
class Saver:
    """An optimizer on the ladder, and its options as the user and the configuration set them.

    `keeps` says that it can be told how many bytes stay on the device, and that the user did not.
    """

    spec: OptimizerSpec
    options: Options
    rung: int
    keeps: bool = False

    @property
    def offloads(self) -> bool:
        """Whether it moves weights off the device."""
        return self.rung >= OFFLOAD

    @property
    def is_whole(self) -> bool:
        """Whether a component's weights go only to make room for another's that come in the same way."""
        return OFFLOAD <= self.rung < PIECES

    def suits(self, part: str) -> bool:
        """Whether it is for this component."""
        return bool(self.spec.parts & {part, "*"})

    def keeping(self, size: int) -> "Saver":
        """The same with so many bytes that stay."""
        return replace(self, options=self.options.model_copy(update={KEEP: size}))


Added = Mapping[str, tuple[Saver, ...]]
"""The optimizers that are added for each component, the lowest rung first."""


def offloads(added: Added) -> bool:
    """Whether any of them moves weights off the device."""
    return any(saver.offloads for chosen in added.values() for saver in chosen)


def savers(plan: Plan, optimizers: Mapping[str, OptimizerSpec]) -> list[Saver]:
    """The ladder, lowest rung first; a wrong option is refused, whether its optimizer is used or not."""
    found = [_saver(plan, spec, spec.rung) for spec in optimizers.values() if spec.rung is not None]
    return sorted(found, key=lambda saver: (saver.rung, saver.spec.name))


def _saver(plan: Plan, spec: OptimizerSpec, rung: int) -> Saver:
    given = {**plan.config.options.get(spec.name, {}), **plan.request.options.get(spec.name, {})}
    options = parsed(spec.options, given, where=f"{spec.name}: ") if spec.options.model_fields else Options()
    return Saver(spec, options, rung, keeps=KEEP in spec.options.model_fields and KEEP not in given)


def named(plan: Plan, part: str) -> list[OptimizerSpec]:
    """The optimizers that the plan has for a component already."""
    return [spec for spec in plan.optimizers if spec.parts & {part, "*"}]


def free_for(plan: Plan, part: str, ladder: Iterable[Saver]) -> list[Saver]:
    """The optimizers that may be added for a component: none twice, and no second one that offloads."""
    there = named(plan, part)
    offloaded = any((spec.rung or 0) >= OFFLOAD for spec in there)
    names = {spec.name for spec in there}
    return [
        saver
        for saver in ladder
        if saver.suits(part) and saver.spec.name not in names and not (saver.offloads and offloaded)
    ]


def added_to(plan: Plan, added: Added) -> Plan:
    """The plan with these optimizers after its own, each for its components alone."""
    uses: dict[str, tuple[Saver, list[str]]] = {}
    for part, chosen in added.items():
        for saver in chosen:
            uses.setdefault(saver.spec.name, (saver, []))[1].append(part)
    ordered = sorted(uses.values(), key=lambda use: (use[0].rung, use[0].spec.name))
    specs = tuple(replace(saver.spec, parts=frozenset(parts)) for saver, parts in ordered)
    options = {(type(saver.spec).__name__, saver.spec.name): saver.options for saver, _ in ordered}
    return replace(plan, optimizers=(*plan.optimizers, *specs), options={**plan.options, **options})
