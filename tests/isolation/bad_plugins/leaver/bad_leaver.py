"""A good plugin, installed to be uninstalled."""

from collections.abc import Sequence
from typing import Any

from latentry_sdk import SamplerSpec, hookimpl


def stand_still(denoise: Any, x: Any, sigmas: Sequence[float], *, on_step: Any) -> Any:
    """Take no step."""
    return x


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """A good sampler."""
    return [SamplerSpec("leavers_own", stand_still)]
