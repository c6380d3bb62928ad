"""What is installed on this machine, and how much memory it has; imports nothing heavy."""

from importlib.metadata import PackageNotFoundError, version

from latentry.types import Memory
from latentry_sdk.control_groups import limits

UNKNOWN = "of unknown version"


def installed(name: str) -> str:
    """The version of a distribution, from its metadata."""
    try:
        return version(name)
    except PackageNotFoundError:
        return UNKNOWN


def system_memory() -> Memory:
    """What the system has for this process, and could give without swapping; unknown without psutil.

    In a container that is at most what its limit leaves.
    """
    try:
        import psutil
    except ImportError:
        return Memory()
    found = psutil.virtual_memory()
    all_limits = [Memory(int(found.total), int(found.available)), *limits()]
    return Memory(min(each.total or 0 for each in all_limits), min(each.free or 0 for each in all_limits))
