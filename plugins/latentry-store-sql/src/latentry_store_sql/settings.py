"""What the store can be told, by environment variables."""

from collections.abc import Mapping

from latentry_sdk import Count, Field, Options, parsed


class Settings(Options):
    """A variable is named after its field: `LATENTRY_QUEUE_LIMIT`."""

    database_url: str | None = Field(None, description="postgresql://…; SQLite if left out")
    queue_limit: Count = Field(20_000, ge=1, description="Jobs that may wait before more are refused")
    queue_attempts: Count = Field(3, ge=1, le=100, description="Attempts at a job before it has failed")
    queue_events: Count = Field(1_000, ge=10, description="Newest events that are kept of each job")


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`; `InvalidRequest` names the variable that is wrong."""
    named = {name: f"LATENTRY_{name.upper()}" for name in Settings.model_fields}
    given = {name: environ[variable] for name, variable in named.items() if environ.get(variable)}
    for name, value in given.items():
        parsed(Settings, {name: value}, where=f"{named[name]}: ")
    return Settings.model_validate(given)
