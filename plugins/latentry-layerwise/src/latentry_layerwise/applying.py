"""Give components modules that are kept, or computed, in another type."""

from dataclasses import replace
from typing import Any

from latentry_sdk import Component, Device, InvalidRequest, Undo


def apply_layerwise(component: Component, _device: Device, *, storage: str) -> tuple[Component, Undo]:
    """The component whose weights are kept in `storage` on its device."""
    from latentry_layerwise.keepers import LayerwiseKeeper

    return _managed(component, LayerwiseKeeper(component.module, storage))


def apply_upcast(component: Component, _device: Device, *, always: bool) -> tuple[Component, Undo]:
    """The component that computes in float32 where its device's half precision does not do."""
    from latentry_layerwise.keepers import UpcastKeeper

    return _managed(component, UpcastKeeper(component.module, always=always))


def _managed(component: Component, keeper: Any) -> tuple[Component, Undo]:
    from latentry_sdk.managed import managed_module

    if component.managed:
        raise InvalidRequest(f"{component.name} is offloaded already", fix="name types before offloading")
    return replace(component, module=managed_module(component.module, keeper), managed=True), keeper.close
