"""A hook returns names where specs are wanted."""

from latentry_sdk import hookimpl


@hookimpl
def register_samplers() -> list[str]:
    """Names."""
    return ["euler"]
