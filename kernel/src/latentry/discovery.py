"""Which plugins are installed, and which of them may be loaded."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from latentry.config import Config
from latentry.loader import Candidate

GROUP = "latentry"


def installed(config: Config) -> Iterator[Candidate]:
    """A candidate for each entry point of the group `latentry`, in the order of their names."""
    clashing = partial(clash, only=GROUP, found=cache(version))
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        listed = config.plugins is None or point.name in config.plugins
        yield _candidate(point, clashing, disabled=not listed or point.name in config.disabled)


def given(plugins: Sequence[object]) -> Iterator[Candidate]:
    """A candidate for each plugin object or module."""
    seen = Counter[str]()
    for plugin in plugins:
        name = getattr(plugin, "__name__", None) or type(plugin).__name__
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}-{seen[name]}"
        yield Candidate(name=name, load=lambda plugin=plugin: plugin)  # type: ignore[misc]


def _candidate(point: EntryPoint, clashing: Callable[[str], str | None], *, disabled: bool) -> Candidate:
    if point.dist is None:
        return Candidate(point.name, point.load, disabled=disabled)
    about = point.dist.metadata
    first = next(filter(None, map(clashing, about.get_all("Requires-Dist") or ())), None)
    return Candidate(point.name, point.load, about["Name"], about["Version"], first, disabled)


def clash(line: str, *, only: str | None = None, found: Callable[[str], str] = version) -> str | None:
    """Why this environment does not meet a requirement, in words; `only` leaves out other distributions'.

    `found` gives the installed version of a distribution.
    """
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return f"its requirement {line!a} cannot be read"
    if only is not None and canonicalize_name(requirement.name) != only:
        return None
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        installed_version = found(requirement.name)
    except PackageNotFoundError:
        return f"needs {requirement}, which is not installed"
    fits = requirement.specifier.contains(installed_version, prereleases=True)
    return None if fits else f"needs {requirement}, found {installed_version}"
