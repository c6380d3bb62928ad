"""Turn what the libraries raise over bad weights into one line, and keep the cause."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from latentry_sdk import InvalidModel, LatentryError, ModelHeader


@contextmanager
def fits(header: ModelHeader, part: str) -> Iterator[None]:
    """`InvalidModel` for what goes wrong while `part` is opened; lack of memory or a library stays itself."""
    try:
        yield
    except (LatentryError, MemoryError, ImportError):
        raise
    except Exception as exc:
        raise InvalidModel(
            f"{header.path.name}: its {part} is damaged or does not fit its configuration",
            fix="fetch the model again",
        ) from exc


def reject_missing(names: Iterable[str]) -> None:
    """`ValueError` where weights are missing."""
    missing = sorted(names)
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, among them {missing[0]}")
