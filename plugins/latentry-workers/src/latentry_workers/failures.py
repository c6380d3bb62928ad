"""Errors of a job that cross from worker to host and stay what they are."""

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from latentry_sdk import InvalidInput, LatentryError, OutOfMemory, PluginError, UserError
from latentry_sdk.memory import says_memory
from latentry_workers.classes import known, name_of


class WorkerTraceback(Exception):
    """The traceback of an error as the worker saw it, kept as the error's cause."""

    def __str__(self) -> str:
        return f"in the worker:\n{self.args[0]}"


def explained(exc: BaseException) -> LatentryError:
    """What a job raised, as an error of Latentry's own: `OutOfMemory` where that is the reason.

    An input that no memory suffices for stays the user's mistake.
    """
    said = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
    if not isinstance(exc, InvalidInput | OutOfMemory) and any(map(says_memory, _causes(exc))):
        return _because(OutOfMemory(said, fix="ask for a smaller picture or batch"), exc)
    return exc if isinstance(exc, LatentryError) else _because(PluginError(f"the job raised {said}"), exc)


def failure_values(error: LatentryError) -> Mapping[str, Any]:
    """What the error says, its classes, nearest first, and its traceback unless it is the user's."""
    trace = None if isinstance(error, UserError) else "".join(traceback.format_exception(error))
    classes = [name_of(kind) for kind in type(error).__mro__ if issubclass(kind, LatentryError)]
    return {"classes": classes, "message": error.message, "fix": error.fix, "traceback": trace}


def error_of(values: Mapping[str, Any]) -> LatentryError:
    """The error again, as the nearest of its classes that is imported here."""
    here = known(LatentryError)
    kind = next(here[name] for name in (*values["classes"], name_of(LatentryError)) if name in here)
    error = kind.__new__(kind)  # its own constructor may want what is no longer known
    LatentryError.__init__(error, values["message"], fix=values["fix"])
    if values["traceback"]:
        error.__cause__ = WorkerTraceback(values["traceback"])
    return error


def _because(error: LatentryError, cause: BaseException) -> LatentryError:
    error.__cause__ = cause
    return error


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__
