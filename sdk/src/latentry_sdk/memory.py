"""Tell a lack of memory from other errors, whichever library it comes from; imports none of them."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from latentry.errors import OutOfMemory, one_line

ALLOCATION_FAILED = (
    "can't allocate memory",
    "out of memory",
    "not enough memory",
    "could not allocate",
    "failed to allocate",
)
"""What torch, its back ends and the engines say in a RuntimeError when memory ran out, in lower case."""


def says_memory(exc: BaseException) -> bool:
    """Whether the error itself says that memory ran out; torch's classes are told by name, unimported."""
    if isinstance(exc, MemoryError) or "OutOfMemoryError" in {kind.__name__ for kind in type(exc).__mro__}:
        return True
    return isinstance(exc, RuntimeError) and any(words in str(exc).lower() for words in ALLOCATION_FAILED)


@contextmanager
def memory_of(device: str) -> Iterator[None]:
    """Raise `OutOfMemory`, which names `device`, where memory runs out in here.

    What the failed calls held is let go of, so that the next try has the memory that they took.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if not says_memory(exc):
            raise
        if exc.__traceback__ and exc.__traceback__.tb_next:
            traceback.clear_frames(exc.__traceback__.tb_next)
        said = f"{device} has not enough memory: {one_line(exc)[:300]}"
        raise OutOfMemory(said, fix="ask for a smaller picture or batch") from exc
