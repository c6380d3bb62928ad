"""Offloading: weights rest on the host or on disk, and come to the device when they are needed."""

from collections.abc import Generator, Sequence
from functools import partial

from latentry_offload import estimates
from latentry_offload.applying import ByBlocks, Whole, send_home
from latentry_sdk import JOB, Count, Field, OptimizerSpec, Options, State, hookimpl

ANY = frozenset({"*"})
MOST_BYTES = 1 << 50


class KeepOptions(Options):
    """What stays on the device."""

    keep: Count = Field(
        0, ge=0, le=MOST_BYTES, description="Bytes of each component's weights that stay on the device"
    )


class GroupOptions(KeepOptions):
    """What stays on the device, and what comes early."""

    ahead: Count = Field(
        1,
        ge=0,
        le=16,
        description="Blocks that come before they are called, beside the computing where it can",
    )


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """From the cheapest in time to the one that needs least memory."""
    return [
        OptimizerSpec(
            "model-offload", ANY, estimates.whole, Whole().apply, rung=50, error=0.0,
            description="One component at a time is on the device",
        ),
        OptimizerSpec(
            "group-offload", ANY, estimates.blocks, ByBlocks().apply, options=GroupOptions, rung=60,
            error=0.0, description="Blocks come to the device, the next ones while one is computed",
        ),
        OptimizerSpec(
            "sequential-offload", ANY, estimates.layers, ByBlocks(layers=True).apply, options=KeepOptions,
            rung=70, error=0.0, description="Single layers come to the device for their own call",
        ),
        OptimizerSpec(
            "disk-offload", ANY, partial(estimates.blocks, ahead=0), ByBlocks(disk=True).apply,
            options=KeepOptions, rung=80, error=0.0,
            description="Blocks rest on disk: the host's memory is spared too",
        ),
    ]  # fmt: skip


@hookimpl(wrapper=True)
def run_stage(state: State) -> Generator[None, State, State]:
    """After each stage, components that came whole are on the host again."""
    after = yield
    send_home(state[JOB].plan.optimizers)
    return after
