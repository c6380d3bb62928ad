"""Which plugins are installed, and which of them may be loaded."""

from collections.abc import Iterator, Sequence

from importlib_metadata import EntryPoint, PackageNotFoundError, entry_points, requires, version
from packaging.requirements import Requirement

from latentry.config import Config
from latentry.loader import Candidate

GROUP = "latentry"


def installed(config: Config) -> Iterator[Candidate]:
    """A candidate for each entry point of the group `latentry`, in the order of their names."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        yield Candidate(
            name=point.name,
            load=point.load,
            distribution=point.dist.name if point.dist else None,
            version=point.dist.version if point.dist else None,
            clash=_version_clash(point),
            disabled=not _enabled(point.name, config),
        )


def given(plugins: Sequence[object]) -> Iterator[Candidate]:
    """A candidate for each plugin object or module."""
    for plugin in plugins:
        name = getattr(plugin, "__name__", None) or type(plugin).__name__
        yield Candidate(name=name, load=lambda plugin=plugin: plugin)  # type: ignore[misc]


def unmet(distribution: str) -> list[str]:
    """The requirements of a distribution that this environment does not meet, in words."""
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return ["it runs from its source and is not installed"]
    problems = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if clash := _clash(requirement):
            problems.append(clash)
    return problems


def _enabled(name: str, config: Config) -> bool:
    listed = config.plugins is None or name in config.plugins
    return listed and name not in config.disabled


def _version_clash(point: EntryPoint) -> str | None:
    for line in (point.dist.requires or ()) if point.dist else ():
        requirement = Requirement(line)
        if requirement.name == "latentry" and requirement.marker is None:
            return _clash(requirement)
    return None


def _clash(requirement: Requirement) -> str | None:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"needs {requirement}, which is not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"needs {requirement}, found {found}"
