"""Decide where each component runs, and whether it fits there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latentry import specs
from latentry.discovery import clash
from latentry.errors import LatentryError, PluginError, Unavailable, blamed, check_known
from latentry.loader import within
from latentry.registry import Registry
from latentry.request import Request
from latentry.types import Detected, DeviceReport, Placement, PlacementRequest

BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1}
PROBE_SECONDS = 30.0

Placements = Mapping[str, Placement]
Optimizers = Sequence[specs.OptimizerSpec]


@dataclass
class Placer:
    """Probes devices, once each, and asks the placement policy."""

    registry: Registry
    hook: Any
    _reports: dict[str, DeviceReport] = field(default_factory=dict)

    def report(self, spec: specs.DeviceSpec) -> DeviceReport:
        """What the probe of a device found; a probe that raises or hangs makes it unavailable."""
        if spec.name not in self._reports:
            try:
                self._reports[spec.name] = within(PROBE_SECONDS, spec.probe)
            except Exception as exc:
                fix = getattr(exc, "fix", None)
                self._reports[spec.name] = DeviceReport(False, f"its probe failed: {exc}", fix)
        return self._reports[spec.name]

    def placements(self, request: Request, family: specs.ModelFamily, detected: Detected) -> Placements:
        """A device for each component, as the user named it or as the policy chooses."""
        parts = detected.components
        check_known("component to place", request.place, [*parts, "*"])
        return {name: self._placement(name, count, request, family) for name, count in parts.items()}

    def _placement(self, name: str, count: int, request: Request, family: specs.ModelFamily) -> Placement:
        wanted = request.place.get(name, request.place.get("*"))
        able = {spec.name: spec for spec in self.registry.devices.values() if family.kind in spec.kinds}
        if wanted is not None:
            self.registry.devices.find(wanted)
            check_known(f"device for {family.kind} components", [wanted], able)
            if not (report := self.report(able[wanted])).available:
                raise Unavailable(f"device {wanted!r}: {report.detail}", fix=report.fix)
            able = {wanted: able[wanted]}
        reports = {device: self.report(spec) for device, spec in able.items()}
        usable = {device: report for device, report in reports.items() if report.available}
        asked = PlacementRequest(name, family.kind, count, wanted)
        with blamed("the hook choose_device"):
            choice = self.hook.choose_device(request=asked, devices=usable)
        if choice is None or choice.device not in usable:
            raise _nowhere(family, reports)
        return _with_dtype(choice, request.dtype, usable[choice.device])

    def quantizers(self, request: Request, detected: Detected) -> specs.Quantizers:
        """The quantizer and scheme of each component that has one."""
        check_known("component to quantize", request.quantize, detected.components)
        return {part: self._quantizer(part, value) for part, value in request.quantize.items()}

    def _quantizer(self, part: str, value: str) -> tuple[specs.QuantizerSpec, str]:
        name, _, scheme = value.partition(":")
        spec = self.registry.quantizers.find(name)
        scheme = scheme or spec.schemes[0]
        check_known(f"scheme of {name}", [scheme], spec.schemes)
        check_known(f"part for {name}", [part] if "*" not in spec.parts else [], spec.parts)
        for requirement in spec.requires:
            if problem := clash(requirement):
                raise Unavailable(f"{name} {problem}", fix=f"pip install '{requirement}'")
        return spec, scheme

    def memory(self, placed: Placements, detected: Detected, optimizers: Optimizers) -> Mapping[str, int]:
        """Bytes of weights each device will hold; `Unavailable` when they are more than it has."""
        needed: dict[str, int] = {}
        for part, place in placed.items():
            dtype = place.dtype or self._reports[place.device].dtypes[0]
            size = detected.components[part] * BYTES.get(dtype, 4)
            for optimizer in optimizers:
                if optimizer.parts & {part, "*"}:
                    with blamed(f"optimizer {optimizer.name!r}"):
                        size = optimizer.estimate(size)
            needed[place.device] = needed.get(place.device, 0) + size
        for device, size in needed.items():
            total = self._reports[device].memory.total
            if total is not None and size > total:
                raise Unavailable(f"the weights take {size >> 20} MiB, {device!r} has {total >> 20} MiB")
        return needed


def _with_dtype(choice: Placement, dtype: str | None, report: DeviceReport) -> Placement:
    wanted = dtype or choice.dtype
    check_known(f"dtype on {choice.device}", [wanted] if wanted else [], report.dtypes)
    return Placement(choice.device, wanted)


def _nowhere(family: specs.ModelFamily, reports: Mapping[str, DeviceReport]) -> LatentryError:
    found = "; ".join(f"{name}: {report.detail}" for name, report in reports.items() if not report.available)
    fix = next((report.fix for report in reports.values() if report.fix), "pip install latentry-cpu")
    if any(report.available for report in reports.values()):
        return PluginError("choose_device chose a device that cannot be used")
    return Unavailable(f"no device runs {family.kind} components ({found})", fix=fix)
