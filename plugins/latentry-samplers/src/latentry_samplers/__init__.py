"""Samplers: the solvers that go from noise to picture."""

from collections.abc import Sequence

from latentry_samplers.catalogue import DISTILLED, ORDINARY, STOCHASTIC
from latentry_sdk import SamplerSpec, hookimpl


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """Solvers of the ordinary and the stochastic equation, and samplers for distilled models."""
    return (*ORDINARY, *STOCHASTIC, *DISTILLED)
