"""Which plugins are installed, and which of them may be loaded."""

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from latentry.config import Config
from latentry.loader import Candidate

GROUP = "latentry"


def installed(config: Config) -> Iterator[Candidate]:
    """A candidate for each entry point of the group `latentry`, in the order of their names."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        listed = config.plugins is None or point.name in config.plugins
        yield _candidate(point, disabled=not listed or point.name in config.disabled)


def given(plugins: Sequence[object]) -> Iterator[Candidate]:
    """A candidate for each plugin object or module."""
    seen: list[str] = []
    for plugin in plugins:
        name = getattr(plugin, "__name__", None) or type(plugin).__name__
        seen.append(name)
        name = name if seen.count(name) == 1 else f"{name}-{seen.count(name)}"
        yield Candidate(name=name, load=lambda plugin=plugin: plugin)  # type: ignore[misc]


def unmet(distribution: str) -> list[str]:
    """The requirements of a distribution that this environment does not meet, in words."""
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return ["it runs from its source and is not installed"]
    return [clash for line in lines if (clash := _clash(line))]


def _candidate(point: EntryPoint, *, disabled: bool) -> Candidate:
    if point.dist is None:
        return Candidate(point.name, point.load, disabled=disabled)
    about = point.dist.metadata
    clashes = [_clash(line, only=GROUP) for line in about.get_all("Requires-Dist") or ()]
    clash = next(filter(None, clashes), None)
    return Candidate(point.name, point.load, about["Name"], about["Version"], clash, disabled)


def _clash(line: str, *, only: str | None = None) -> str | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return f"its requirement {line!a} cannot be read"
    if only is not None and canonicalize_name(requirement.name) != only:
        return None
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"needs {requirement}, which is not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"needs {requirement}, found {found}"
