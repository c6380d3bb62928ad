"""Options that differ from their defaults, found from what is declared of them."""

from collections.abc import Mapping
from typing import Any

from latentry_sdk import Options

LEAST = 0.25
"""Where between its default and its bound a number is taken: near enough to be usual."""


def other_options(options: type[Options]) -> Mapping[str, Any]:
    """A legal value beside the default for each option that is a number, a choice or a switch."""
    found = {name: _other(about) for name, about in options.model_json_schema().get("properties", {}).items()}
    return {name: value for name, value in found.items() if value is not None}


def _other(about: Mapping[str, Any]) -> Any:
    """Another value than the default, or None where none is found."""
    default = about.get("default")
    if "anyOf" in about and default is None:  # a seed, say, which is drawn where none is given
        kinds = [kind for kind in about["anyOf"] if kind.get("type") == "integer"]
        return max(kinds[0].get("minimum", 0), 0) + 1 if kinds else None
    if "enum" in about:
        return next((value for value in about["enum"] if value != default), None)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return _other_number(about, default)
    return None


def _other_number(about: Mapping[str, Any], default: float) -> float | None:
    """A number on the way from the default to its upper bound, else to its lower one."""
    bounds = (about.get("maximum", about.get("exclusiveMaximum")),
              about.get("minimum", about.get("exclusiveMinimum")))  # fmt: skip
    for bound in bounds:
        if bound is not None and bound != default:
            value = default + LEAST * (bound - default)
            if about.get("type") != "integer":
                return float(value)
            return default + (1 if bound > default else -1)
    return None
