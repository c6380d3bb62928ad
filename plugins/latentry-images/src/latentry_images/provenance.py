"""Which plugins took part in a job, in which versions, and on which libraries."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import Distribution, PackageNotFoundError, entry_points, version
from typing import Any, NamedTuple

from latentry_sdk import Job

NAME = re.compile(r"[\w.-]+")


class Plugin(NamedTuple):
    """An installed plugin's distribution, its version, and the distributions it asks for."""

    name: str
    version: str
    requires: tuple[str, ...]


def took_part(job: Job, placed: Mapping[str, Any]) -> Sequence[Plugin]:
    """The plugins whose stages, solvers, model family or devices the job used, by name."""
    tops = {module.partition(".")[0] for module in _modules(job, placed)}
    return sorted(plugin for top, plugin in _installed().items() if top in tops)


def plugin_versions(plugins: Sequence[Plugin]) -> Mapping[str, str]:
    """The version of each, by name."""
    return {plugin.name: plugin.version for plugin in plugins}


def library_versions(plugins: Sequence[Plugin]) -> Mapping[str, str]:
    """The installed versions of what these plugins ask for, Latentry itself left out."""
    names = {name for plugin in plugins for name in plugin.requires if not name.startswith("latentry")}
    return {name: installed for name in sorted(names) if (installed := _version(name))}


def _modules(job: Job, placed: Mapping[str, Any]) -> Iterator[str]:
    calls: list[Any] = [type(component) for component in placed.values()]
    for plan in filter(None, (job.plan, *job.plan.further.values())):
        calls += [type(options) for (kind, _), options in plan.options.items() if kind == "DeviceSpec"]
        calls += [stage.run for stage in plan.stages]
        calls += [plan.sampler.sample, plan.scheduler.sigmas, plan.family.load, plan.task.options]
        calls += [spec.apply for spec in plan.optimizers]
        calls += [spec.apply for spec, _ in plan.quantizers.values()]
    yield from (_unwrapped(call).__module__ for call in calls)


def _unwrapped(call: Callable[..., Any]) -> Callable[..., Any]:
    """What a partial application calls in the end."""
    while isinstance(call, partial):
        call = call.func
    return call


@cache
def _installed() -> Mapping[str, Plugin]:
    """The plugins by their top package; what is installed stays so while a process runs."""
    points = [(point.value, point.dist) for point in entry_points(group="latentry")]
    return {re.split(r"[.:]", value)[0]: _plugin(dist) for value, dist in points if dist is not None}


def _plugin(dist: Distribution) -> Plugin:
    lines = [line for line in dist.requires or () if "extra ==" not in line]
    return Plugin(
        dist.name, dist.version, tuple(found[0].lower() for line in lines if (found := NAME.match(line)))
    )


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
