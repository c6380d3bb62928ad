"""A hook with an argument the host does not give."""

from collections.abc import Sequence

from latentry_sdk import SamplerSpec, hookimpl


@hookimpl
def register_samplers(colour: str) -> Sequence[SamplerSpec]:
    """Give nothing, for a colour."""
    return []
