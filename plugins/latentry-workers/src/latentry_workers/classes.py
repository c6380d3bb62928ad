"""Name classes so that another process finds them, among those that it has imported itself."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def name_of(kind: type) -> str:
    """The class's module and name."""
    return f"{kind.__module__}.{kind.__qualname__}"


def known(kind: type[T]) -> Mapping[str, type[T]]:
    """The class and all its subclasses that are imported here, by name. Nothing is imported for it."""
    found = {name_of(kind): kind}
    for under in kind.__subclasses__():
        found |= known(under)
    return found
