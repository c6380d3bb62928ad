"""What the server itself refuses, and the stable names of all errors."""

import re

from latentry_sdk import LatentryError, UserError


class TimedOut(LatentryError):
    """A job took longer than it may."""


class NotJson(UserError):
    """The body is no JSON object."""


def type_of(exc: BaseException) -> str:
    """The stable type of an error: the name of its class in small letters, `out_of_memory` for instance."""
    if isinstance(exc, MemoryError):
        return "out_of_memory"
    if not isinstance(exc, LatentryError):
        return "internal_error"
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(exc).__name__).lower()
