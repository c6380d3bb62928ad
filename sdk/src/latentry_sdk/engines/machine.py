"""What devices with an engine of their own say of the machine and of what is installed; nothing heavy."""

from importlib.metadata import PackageNotFoundError, version

from latentry.errors import Unavailable
from latentry.types import Component, Memory

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


def refuse_managed(component: Component, engine: str) -> None:
    """`Unavailable` if an optimizer moves the component's weights, which a converted model would not see."""
    if component.managed:
        raise Unavailable(
            f"an optimizer moves the weights of {component.name}, which {engine} would not see",
            fix="leave the optimizer out or place the component elsewhere",
        )
