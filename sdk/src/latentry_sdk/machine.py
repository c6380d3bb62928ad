"""What is installed on this machine, and how much memory it has; imports nothing heavy."""

from importlib.metadata import PackageNotFoundError, version

from latentry.types import Memory

UNKNOWN = "of unknown version"


def installed(name: str) -> str:
    """The version of a distribution, from its metadata."""
    try:
        return version(name)
    except PackageNotFoundError:
        return UNKNOWN


def system_memory() -> Memory:
    """What the system has, and what it could give without swapping; unknown where psutil is not installed."""
    try:
        import psutil
    except ImportError:
        return Memory()
    found = psutil.virtual_memory()
    return Memory(total=int(found.total), free=int(found.available))
