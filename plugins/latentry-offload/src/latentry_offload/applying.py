"""Apply offloading to components: give each a module that has its weights brought, and take it away again."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from latentry_sdk import Component, Device, InvalidRequest, OptimizerSpec, Undo


@dataclass
class Whole:
    """Components that take turns on each device: one that is called sends home the one before.

    The last one goes home with the stage that called it.
    """

    _turns: "WeakKeyDictionary[Device, Any]" = field(default_factory=WeakKeyDictionary)

    def apply(self, component: Component, device: Device) -> tuple[Component, Undo]:
        """The component with all its weights on the host until it is called."""
        from latentry_offload.turns import Turns, WholeKeeper

        keeper = WholeKeeper(component.module, self._turns.setdefault(device, Turns()))
        return _managed(component, keeper)

    def rest(self) -> None:
        """Send home whatever is on a device."""
        for turns in self._turns.values():
            turns.leave()


def send_home(optimizers: Iterable[OptimizerSpec]) -> None:
    """Have components that come whole rest, of a plan with these optimizers."""
    for spec in optimizers:
        owner = getattr(spec.apply, "__self__", None)
        if isinstance(owner, Whole):
            owner.rest()


@dataclass(frozen=True)
class ByBlocks:
    """Components whose blocks, or single `layers`, come from the host's memory or from `disk`."""

    layers: bool = False
    disk: bool = False

    def apply(
        self, component: Component, _device: Device, *, keep: int = 0, ahead: int = 0
    ) -> tuple[Component, Undo]:
        """The component with its weights at rest, but for up to `keep` bytes; `ahead` blocks come early."""
        from latentry_offload.keeper import BlockKeeper

        keeper = BlockKeeper(component.module, layers=self.layers, disk=self.disk, keep=keep, ahead=ahead)
        return _managed(component, keeper)


def _managed(component: Component, keeper: Any) -> tuple[Component, Undo]:
    from latentry_sdk.managed import managed_module

    if component.kind != "torch":
        raise InvalidRequest(f"components of the kind {component.kind!r} cannot be offloaded")
    if type(getattr(component.module, "keeper", None)).__module__.startswith("latentry_offload."):
        raise InvalidRequest(f"{component.name} is offloaded in two ways", fix="name one of them")
    module = managed_module(component.module, keeper)
    return replace(component, module=module, managed=True), keeper.close
