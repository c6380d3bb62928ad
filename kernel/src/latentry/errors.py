"""What can go wrong, each error with the mend beside it.

A `UserError` is a mistake the caller can mend: one line, exit code 2, HTTP 4xx. Every other
`LatentryError` is a fault of a plugin, a model file or the machine.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager


class LatentryError(Exception):
    """An error with an optional `fix`: one imperative sentence that says what to do."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


class UserError(LatentryError):
    """The request cannot be done as asked, and the caller can change it."""


class InvalidRequest(UserError):
    """A field or option has a value outside its declared range."""


class InvalidInput(UserError):
    """An input file is not what it should be: truncated, too large, of a wrong kind."""


class InvalidModel(UserError):
    """A model file is damaged, unsafe, or does not fit its own configuration."""


class UnknownName(UserError):
    """Nothing of this kind has this name; the message lists the legal names."""

    def __init__(self, kind: str, name: str, legal: Iterable[str], *, fix: str | None = None) -> None:
        choices = ", ".join(sorted(legal)) or "none is installed"
        super().__init__(f"unknown {kind} {shown(name)}; known: {choices}", fix=fix)


class Unavailable(UserError):
    """The thing exists but cannot be used on this machine as it is."""


class DuplicateName(LatentryError):
    """Two plugins give the same name to things of the same kind; the message names both."""


class PluginError(LatentryError):
    """A plugin broke its contract."""


class OutOfMemory(LatentryError):
    """A device or the machine had not enough memory for the job.

    Devices raise it in `place`, in calls of what they placed, and for what runs inside `activate()`.
    """


class Cancelled(LatentryError):
    """The job was asked to stop, and did."""


def shown(text: object, limit: int = 80) -> str:
    """`text` quoted on one printable line, cut to `limit` characters."""
    quoted = ascii(str(text)[: limit + 1])
    return quoted if len(quoted) <= limit else f"{quoted[:limit]}…'"


def one_line(exc: BaseException) -> str:
    """What `exc` says on one line; its type where it says nothing."""
    return " ".join(str(exc).split()) or type(exc).__name__


def check_known(kind: str, names: Iterable[str], legal: Collection[str]) -> None:
    """Raise `UnknownName` for the first of `names` that is not `legal`."""
    for name in names:
        if name not in legal:
            raise UnknownName(kind, name, legal)


@contextmanager
def blamed(part: str, kind: type[LatentryError] | None = None) -> Iterator[None]:
    """Turn what a plugin raises in here into a `PluginError` that names `part`; the cause is kept.

    `kind` is the class of error to raise in its stead.
    """
    try:
        yield
    except (LatentryError, MemoryError):
        raise
    except Exception as exc:
        raise (kind or PluginError)(f"{part} failed: {type(exc).__name__}: {one_line(exc)}") from exc
