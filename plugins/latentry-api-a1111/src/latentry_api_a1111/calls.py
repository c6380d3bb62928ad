"""The calls under way: whose they are, how far they are, and whether they are to stop."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

TIMESTAMP = "%Y%m%d%H%M%S"


def stamp() -> str:
    """The time as AUTOMATIC1111 names jobs by it, of this machine's zone."""
    return datetime.now().astimezone().strftime(TIMESTAMP)


@dataclass
class Call:
    """One call that waits for its jobs; it belongs to the event loop.

    `number` counts iterations from 0 and `job` is the id of the present one's job. `interrupted` ends the
    call, `skipped` the iteration. `model` is its listed name, and `clip` counts as AUTOMATIC1111 does.
    """

    owner: str
    task: str
    steps: int
    count: int
    model: str = ""
    clip: int = 1
    timestamp: str = field(default_factory=stamp)
    began: float = field(default_factory=monotonic)
    number: int = 0
    job: str | None = None
    interrupted: bool = False
    skipped: bool = False

    @property
    def stopping(self) -> bool:
        """Whether the present job is to end."""
        return self.interrupted or self.skipped


class Calls:
    """All calls under way in this process, oldest first."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def of(self, owner: str) -> Sequence[Call]:
        """Those of one credential."""
        return [call for call in self._calls if call.owner == owner]

    @contextmanager
    def under_way(self, call: Call) -> Iterator[Call]:
        """The call is known for as long as this lasts."""
        self._calls.append(call)
        try:
            yield call
        finally:
            self._calls.remove(call)
