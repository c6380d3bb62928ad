"""Gives one sampler of its own, and one whose name another plugin has."""

from collections.abc import Sequence
from typing import Any

from latentry_sdk import SamplerSpec, hookimpl


def stand_still(denoise: Any, x: Any, sigmas: Sequence[float], *, on_step: Any) -> Any:
    """Take no step."""
    return x


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """A name that is free and a name that is taken."""
    return [SamplerSpec("thiefs_own", stand_still), SamplerSpec("euler", stand_still)]
