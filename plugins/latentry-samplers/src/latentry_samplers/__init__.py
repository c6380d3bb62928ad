"""Samplers: the solvers that go from noise to picture."""

from collections.abc import Sequence

from latentry_samplers.catalogue import ADAPTIVE, CFG_PP, DISTILLED, ORDINARY, STOCHASTIC
from latentry_sdk import SamplerSpec, hookimpl


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """Solvers of both equations, CFG++, samplers for distilled models, and a solver with steps of its own."""
    return (*ORDINARY, *STOCHASTIC, *CFG_PP, *DISTILLED, *ADAPTIVE)
