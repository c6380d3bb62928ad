"""Implements a hook that does not exist."""

from collections.abc import Sequence

from latentry_sdk import SamplerSpec, hookimpl


@hookimpl
def register_smaplers() -> Sequence[SamplerSpec]:
    """Give nothing."""
    return []
