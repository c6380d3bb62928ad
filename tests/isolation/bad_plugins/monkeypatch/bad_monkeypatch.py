"""Replaces functions of the kernel when imported and in a hook."""

from collections.abc import Sequence
from typing import Any

import latentry.host
import latentry.planner
from latentry_sdk import SamplerSpec, hookimpl


def refuse(*_arguments: Any) -> Any:
    """Stand in for a function of the kernel."""
    raise RuntimeError("the host was patched")


latentry.host.Host.plan = refuse  # type: ignore[method-assign,assignment]


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """Give nothing, but break planning."""
    latentry.planner.read_header = refuse  # type: ignore[attr-defined,assignment]
    return []
