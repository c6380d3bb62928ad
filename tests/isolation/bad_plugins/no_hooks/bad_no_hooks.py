"""Forgot to mark its hook."""


def register_samplers() -> list[object]:
    """Not marked with `hookimpl`."""
    return []
