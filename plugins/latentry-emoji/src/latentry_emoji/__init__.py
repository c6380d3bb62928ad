"""The embedded model `emoji`: the one that is used where none is named."""

from pathlib import Path

from latentry_sdk import ModelEntry, hookimpl

NAME = "emoji"
FOLDER = Path(__file__).parent / "model" / "emoji64"


@hookimpl(trylast=True)
def find_model(ref: str | None) -> Path | None:
    """The embedded model by its name, or as the default where no other plugin has one."""
    return FOLDER if ref is None or ref == NAME else None


@hookimpl
def list_models() -> tuple[ModelEntry, ...]:
    """The embedded model."""
    return (ModelEntry(NAME, FOLDER, "Emoji of 64 × 64 pixels, embedded"),)
