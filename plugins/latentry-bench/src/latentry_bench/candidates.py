"""The ways of running a job that are tried: device, type and optimizers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from latentry_sdk import DeviceReport, Host, OptimizerSpec, Plan, Request, Unavailable, UnknownName
from latentry_sdk.footprints import largest_part

ROUNDING = 1e-3
"""An optimizer whose declared error is larger gives another picture: it is approximate."""

NONE = "none"
"""What the user calls the way without any optimizer."""


@dataclass(frozen=True)
class Candidate:
    """All components on one device in one type, with optimizers; `why` says why it cannot even be tried."""

    device: str
    dtype: str
    optimizer: str = ""
    approximate: bool = False
    why: str | None = None

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Each as the request names it."""
        return tuple(filter(None, self.optimizer.split("+")))

    @property
    def plain(self) -> "Candidate":
        """The same way without optimizers."""
        return Candidate(self.device, self.dtype)

    def request(self, asked: Request, devices: Sequence[str]) -> Request:
        """The job, done this way; the options of other devices are left out."""
        options = {owner: given for owner, given in asked.options.items()
                   if owner == self.device or owner not in devices}  # fmt: skip
        changed = {"place": {"*": self.device}, "dtype": self.dtype, "optimizers": self.optimizers}
        return asked.model_copy(update={**changed, "options": options})

    def __str__(self) -> str:
        return " ".join(filter(None, [self.device, self.dtype, self.optimizer]))


@dataclass(frozen=True)
class Wanted:
    """What the user named; empty for all that there is."""

    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = ()


def candidates(host: Host, plan: Plan, wanted: Wanted) -> list[Candidate]:
    """Every available device × type × optimizer that may run the plan's model, the plain way first.

    A device that was named and is not there is one that cannot be tried. Raises `UnknownName` for what
    is no name, and `Unavailable` where nothing is there to try.
    """
    reports = _reports(host, plan, wanted)
    texts = list(_texts(host, plan, wanted))
    known = {dtype for report in reports.values() for dtype in report.dtypes}
    for dtype in wanted.dtypes:
        if dtype not in known:
            raise UnknownName("dtype", dtype, sorted(known))
    found = [
        Candidate(
            device, dtype, text, _is_approximate(host, text), None if report.available else report.detail
        )
        for device, report in reports.items()
        for dtype in _dtypes(report, wanted)
        for text in texts
    ]
    if not any(candidate.why is None for candidate in found):
        raise Unavailable(_nothing(plan, reports))
    return found


def default_optimizers(plan: Plan, optimizers: Mapping[str, OptimizerSpec]) -> list[str]:
    """Those for the main component that no ladder adds: techniques of speed, and not of memory."""
    part = largest_part(plan)
    return [
        f"{part}={spec.name}"
        for spec in optimizers.values()
        if spec.rung is None and spec.parts & {part, "*"}
    ]


def _reports(host: Host, plan: Plan, wanted: Wanted) -> dict[str, DeviceReport]:
    able = {spec.name for spec in host.registry.devices.values() if plan.family.kind in spec.kinds}
    found = {name: report for name, report in host.devices().items() if name in able}
    named = [host.registry.devices.find(name).name for name in wanted.devices]
    for name in named:
        if name not in able:
            raise UnknownName(f"device for {plan.family.kind} components", name, sorted(able))
    return {name: found[name] for name in named} or {
        name: each for name, each in found.items() if each.available
    }


def _texts(host: Host, plan: Plan, wanted: Wanted) -> Iterator[str]:
    if not wanted.optimizers:
        yield from ("", *default_optimizers(plan, host.registry.optimizers))
    for text in wanted.optimizers:
        yield "" if text == NONE else text


def _dtypes(report: DeviceReport, wanted: Wanted) -> Sequence[str]:
    named = [dtype for dtype in wanted.dtypes if dtype in report.dtypes]
    return named if wanted.dtypes else report.dtypes


def _is_approximate(host: Host, text: str) -> bool:
    names = [each.rpartition("=")[2] for each in filter(None, text.split("+"))]
    return any(host.registry.optimizers.find(name).error > ROUNDING for name in names)


def _nothing(plan: Plan, reports: Mapping[str, DeviceReport]) -> str:
    told = "; ".join(f"{name}: {report.detail}" for name, report in reports.items() if not report.available)
    return f"nothing is available that runs {plan.family.kind} components" + (f" ({told})" if told else "")
