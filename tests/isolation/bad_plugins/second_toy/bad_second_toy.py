"""Its entry point has the name of another plugin's."""

from collections.abc import Sequence
from typing import Any

from latentry_sdk import SamplerSpec, hookimpl


def stand_still(denoise: Any, x: Any, sigmas: Sequence[float], *, on_step: Any) -> Any:
    """Take no step."""
    return x


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """A sampler nobody gets to see."""
    return [SamplerSpec("second_toys_own", stand_still)]
