"""Compile components with torch.compile."""

from collections.abc import Sequence
from typing import Any

from latentry_compile.options import CompileOptions
from latentry_sdk import Component, Device, Footprint, OptimizerSpec, Undo, Work, hookimpl


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """The optimizer `compile`."""
    return [
        OptimizerSpec(
            "compile",
            parts=frozenset({"*"}),
            estimate=unchanged,
            apply=compile_component,
            options=CompileOptions,
            description="torch.compile",
        )
    ]


def unchanged(footprint: Footprint, _work: Work, **_options: Any) -> Footprint:
    """Weights stay as they are, and so do the largest intermediate results."""
    return footprint


def compile_component(component: Component, device: Device, **options: Any) -> tuple[Component, Undo]:
    """The component, compiled when it is first called; `Unavailable` where that cannot work."""
    from latentry_compile.applying import apply

    return apply(component, device, CompileOptions.model_validate(options))
