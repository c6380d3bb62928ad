"""Put processors around those of a component's attentions, and take them away."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from latentry_sdk import Component, Device, Unavailable, Undo


def apply_slicing(component: Component, _device: Device, *, megabytes: int) -> tuple[Component, Undo]:
    """The component whose attentions keep no more scores at once."""
    from latentry_attention.processors import Sliced

    return _around(component, partial(Sliced, most=megabytes << 20), f"sliced-{megabytes}")


def apply_backend(component: Component, _device: Device, *, kernel: str) -> tuple[Component, Undo]:
    """The component whose attentions are computed by one kernel; as it is for "auto"."""
    from latentry_attention.processors import Chosen

    if kernel == "auto":
        return component, lambda: None
    return _around(component, partial(Chosen, kernel=kernel), kernel)


def _around(component: Component, processor: Callable[[Any], Any], how: str) -> tuple[Component, Undo]:
    """Attentions are found by their processors: `set_attention_backend` does nothing on UNets."""
    parts = [part for part in component.module.modules() if hasattr(part, "set_processor")]
    if not parts:
        raise Unavailable(f"{component.name} has no attention of diffusers", fix="leave the optimizer out")
    before = [(part, part.processor) for part in parts]
    for part, inner in before:
        part.processor = processor(inner)
    changed = replace(component, digest=lambda: f"{component.digest()}-attention-{how}")
    return changed, partial(_give_back, before)


def _give_back(before: list[tuple[Any, Any]]) -> None:
    for part, processor in before:
        part.processor = processor
