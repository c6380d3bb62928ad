"""The immutable, typed blackboard that stages hand to one another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, overload

from latentry.errors import PluginError

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True)
class Key(Generic[T]):
    """The typed name of one entry. Two keys with the same name are the same key.

    >>> MASK = Key[float]("inpaint.mask")
    """

    name: str


@dataclass(frozen=True)
class State:
    """An immutable mapping from `Key[T]` to `T`; a change makes a new state."""

    _entries: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def put(self, key: Key[T], value: T) -> "State":
        """A new state in which `key` holds `value`."""
        return State(MappingProxyType({**self._entries, key.name: value}))

    def __getitem__(self, key: Key[T]) -> T:
        if key.name not in self._entries:
            raise PluginError(f"no stage gave {key.name!r}", fix="declare it in the stage's `needs`")
        return cast("T", self._entries[key.name])

    @overload
    def get(self, key: Key[T]) -> T | None: ...
    @overload
    def get(self, key: Key[T], default: D) -> T | D: ...
    def get(self, key: Key[T], default: D | None = None) -> T | D | None:
        """The value of `key`, or `default` where no stage gave it."""
        return cast("T | D | None", self._entries.get(key.name, default))

    def __contains__(self, key: Key[Any]) -> bool:
        return key.name in self._entries
