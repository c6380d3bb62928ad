"""Compile components with torch.compile."""

from collections.abc import Sequence
from pathlib import Path

from latentry_compile.options import CompileOptions, Dynamic, Mode
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


def unchanged(
    footprint: Footprint,
    _work: Work,
    *,
    backend: str,  # noqa: ARG001
    mode: Mode,  # noqa: ARG001
    blocks: bool,  # noqa: ARG001
    dynamic: Dynamic,  # noqa: ARG001
    cache: Path,  # noqa: ARG001
) -> Footprint:
    """Weights stay as they are, and so do the largest intermediate results."""
    return footprint


def compile_component(
    component: Component,
    device: Device,
    *,
    backend: str,
    mode: Mode,
    blocks: bool,
    dynamic: Dynamic,
    cache: Path,
) -> tuple[Component, Undo]:
    """The component, compiled when it is first called; `Unavailable` where that cannot work."""
    from latentry_compile.applying import apply

    asked = CompileOptions(backend=backend, mode=mode, blocks=blocks, dynamic=dynamic, cache=cache)
    return apply(component, device, asked)
