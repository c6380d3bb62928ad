"""DeepCache, arXiv:2312.00858: in most steps a UNet's deep features are those of an earlier step."""

from collections.abc import Generator, Sequence
from typing import Any

from latentry_sdk import (
    JOB,
    PLACED,
    Component,
    Count,
    Device,
    Field,
    Footprint,
    OptimizerSpec,
    Options,
    StageSpec,
    State,
    Undo,
    Work,
    hookimpl,
)
from latentry_sdk.modules import placed_module

NAME, UNET = "deepcache", "unet"


class DeepCacheOptions(Options):
    """How often deep features are made, and what is deep."""

    every: Count = Field(2, ge=1, le=100, description="Deep features are made in one of so many steps")
    levels: Count = Field(1, ge=1, le=8, description="Outer levels of the UNet that run in each step")


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """The optimizer `deepcache`, which changes the picture and so is used only where it is named."""
    return [
        OptimizerSpec(
            NAME,
            parts=frozenset({UNET}),
            estimate=unchanged,
            apply=reuse,
            options=DeepCacheOptions,
            error=0.3,
            description="Use a UNet's deep features again in the next steps",
        )
    ]


@hookimpl(wrapper=True)
def run_stage(stage: StageSpec, state: State) -> Generator[None, Any, Any]:  # noqa: ARG001
    """No stage finds features that another, or a job before, has left."""
    placed = state.get(PLACED) or {}
    if UNET in placed and any(spec.name == NAME for spec in state[JOB].plan.optimizers):
        from latentry_deepcache.features import forget

        forget(placed_module(state, UNET))
    return (yield)


def unchanged(footprint: Footprint, _work: Work, *, every: int, levels: int) -> Footprint:  # noqa: ARG001
    """What is kept is one of the tensors that are there at a call's peak anyway."""
    return footprint


def reuse(component: Component, device: Device, *, every: int, levels: int) -> tuple[Component, Undo]:
    """The component whose inner levels run in one of `every` steps; `Unavailable` where it has too few."""
    from latentry_deepcache.features import install

    return component, install(component, device, every=every, levels=levels)
