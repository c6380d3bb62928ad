"""Works, but fails at every event of a job."""

from latentry_sdk import Event, hookimpl


@hookimpl
def on_event(event: Event) -> None:
    """Fail."""
    raise RuntimeError(f"no {type(event).__name__} for me")
