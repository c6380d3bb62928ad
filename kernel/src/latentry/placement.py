"""Decide where each component runs, and whether it fits there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from latentry import specs
from latentry.discovery import clash
from latentry.errors import LatentryError, PluginError, Unavailable, blamed, check_known
from latentry.loader import within
from latentry.registry import Registry
from latentry.request import Request
from latentry.types import Detected, DeviceReport, Placement, PlacementRequest

PROBE_SECONDS = 30.0

Placements = Mapping[str, Placement]


@dataclass
class Placer:
    """Probes devices, once each, and asks the placement policy."""

    registry: Registry
    hook: Any
    _reports: dict[str, DeviceReport] = field(default_factory=dict)

    def report(self, spec: specs.DeviceSpec) -> DeviceReport:
        """What the probe of a device found, with the memory it has now.

        A probe that raises or hangs makes it unavailable.
        """
        if (report := self._reports.get(spec.name)) is None:
            try:
                report = within(PROBE_SECONDS, spec.probe)
            except Exception as exc:
                report = DeviceReport(False, f"its probe failed: {exc}", getattr(exc, "fix", None))
            self._reports[spec.name] = report
        if spec.memory is None or not report.available:
            return report
        with blamed(f"device {spec.name!r}"):
            return replace(report, memory=within(PROBE_SECONDS, spec.memory))

    def placements(self, request: Request, family: specs.ModelFamily, detected: Detected) -> Placements:
        """A device for each component, as the user named it or as the policy chooses."""
        check_known("component to place", request.place, [*detected.components, "*"])
        return {part: self._placement(part, request, family, detected) for part in detected.components}

    def _placement(self, part: str, job: Request, family: specs.ModelFamily, model: Detected) -> Placement:
        wanted = job.place.get(part, job.place.get("*"))
        able = {spec.name: spec for spec in self.registry.devices.values() if family.kind in spec.kinds}
        named = [self.registry.devices.find(each).name for each in (wanted, *job.fallback) if each]
        check_known(f"device for {family.kind} components", named, able)
        reports = {device: self.report(able[device]) for device in (able if wanted is None else named)}
        there = [device for device, report in reports.items() if report.available]
        usable = {device: reports[device] for device in (there[:1] if wanted else there)}
        first = next(iter(usable), None) if wanted else None
        asked = PlacementRequest(part, family.kind, model.components[part], first, model, job)
        with blamed("the hook choose_device"):
            choice = self.hook.choose_device(request=asked, devices=usable)
        if choice is None or choice.device not in usable:
            raise _nowhere(family, reports)
        dtype = job.dtype or choice.dtype
        check_known(f"dtype on {choice.device}", [dtype] if dtype else [], usable[choice.device].dtypes)
        return Placement(choice.device, dtype)

    def quantizers(self, request: Request, detected: Detected, placed: Placements) -> specs.Quantizers:
        """The quantizer and scheme of each component that has one, or is stored so."""
        check_known("component to quantize", request.quantize, detected.components)
        for part in request.quantize.keys() & detected.quantized.keys():
            check_known(f"quantizer for {part}", [request.quantize[part]], [detected.quantized[part]])
        wanted = {**request.quantize, **detected.quantized}
        return {part: self._quantizer(part, value, placed[part].device) for part, value in wanted.items()}

    def _quantizer(self, part: str, value: str, device: str) -> tuple[specs.QuantizerSpec, str]:
        name, _, scheme = value.partition(":")
        spec = self.registry.quantizers.find(name)
        scheme = scheme or spec.schemes[0]
        check_known(f"scheme of {name}", [scheme], spec.schemes)
        check_known(f"part for {name}", [part] if "*" not in spec.parts else [], spec.parts)
        check_known(f"device for {name}:{scheme}", [device], spec.devices.get(scheme, {device}))
        for requirement in spec.requires:
            if problem := clash(requirement):
                raise Unavailable(f"{name} {problem}", fix=f"pip install '{requirement}'")
        return spec, scheme

    def optimizer(self, text: str, detected: Detected) -> specs.OptimizerSpec:
        """The optimizer that `name` or `component=name` asks for, for that component alone."""
        part, _, name = text.rpartition("=")
        spec = self.registry.optimizers.find(name)
        if not part:
            return spec
        check_known("component to optimize", [part], detected.components)
        check_known(f"part for {name}", [part] if "*" not in spec.parts else [], spec.parts)
        return replace(spec, parts=frozenset({part}))


def _nowhere(family: specs.ModelFamily, reports: Mapping[str, DeviceReport]) -> LatentryError:
    found = "; ".join(f"{name}: {report.detail}" for name, report in reports.items() if not report.available)
    fix = next((report.fix for report in reports.values() if report.fix), "pip install latentry-cpu")
    if any(report.available for report in reports.values()):
        return PluginError("choose_device chose a device that cannot be used")
    return Unavailable(f"no device runs {family.kind} components ({found})", fix=fix)
