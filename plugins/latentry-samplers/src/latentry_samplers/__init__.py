"""The samplers most people use: Euler, Euler ancestral, Heun, DPM++ 2M and DDIM."""

from collections.abc import Sequence

from latentry_samplers.solvers import ddim, dpmpp_2m, euler, euler_ancestral, heun
from latentry_sdk import Field, Number, Options, SamplerSpec, hookimpl

ANY_SPACE = frozenset({"ve", "flow"})
"""Spaces of the deterministic solvers: both have the equation dx/dsigma = (x - x0) / sigma."""


class EulerAncestralOptions(Options):
    """How much of each step's noise is fresh."""

    eta: Number = Field(1.0, ge=0, le=1, description="Fresh noise a step; 0 makes it Euler")


class DdimOptions(Options):
    """How much of each step's noise is fresh."""

    eta: Number = Field(0.0, ge=0, le=1, description="Fresh noise a step; 0 is deterministic, 1 is DDPM")


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """The five samplers, by the names ComfyUI gives them."""
    return (
        SamplerSpec(
            "euler",
            euler,
            spaces=ANY_SPACE,
            label="Euler",
            aliases=("k_euler",),
            description="First order, one model call a step",
        ),
        SamplerSpec(
            "euler_ancestral",
            euler_ancestral,
            stochastic=True,
            label="Euler a",
            aliases=("euler a", "k_euler_a", "k_euler_ancestral"),
            options=EulerAncestralOptions,
            description="Euler with fresh noise at each step",
        ),
        SamplerSpec(
            "heun",
            heun,
            order=2,
            spaces=ANY_SPACE,
            label="Heun",
            aliases=("k_heun",),
            description="Second order, two model calls a step",
        ),
        SamplerSpec(
            "dpmpp_2m",
            dpmpp_2m,
            order=2,
            spaces=ANY_SPACE,
            label="DPM++ 2M",
            aliases=("dpm++ 2m", "k_dpmpp_2m"),
            description="Second order, one model call a step",
        ),
        SamplerSpec(
            "ddim",
            ddim,
            stochastic=True,
            label="DDIM",
            aliases=("k_ddim",),
            options=DdimOptions,
            description="First order; eta adds fresh noise",
        ),
    )
