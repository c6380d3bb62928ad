"""Jobs as they were a moment ago, so that a thousand who ask for one cost one read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from latentry_sdk.queue import QueuedJob

SECONDS = 0.2
"""How late a change that another host made may be seen."""

MOST = 4096


@dataclass
class Recent:
    """Remembers jobs until anything changes here: `changes` counts that."""

    changes: Callable[[], int]
    _known: dict[str, tuple[QueuedJob, float, int]] = field(default_factory=dict)

    def get(self, job: str) -> QueuedJob | None:
        """The job, if it was read a moment ago and nothing has changed."""
        found, at, changes = self._known.get(job, (None, 0.0, 0))
        return found if changes == self.changes() and monotonic() - at < SECONDS else None

    def read(self, job: str, read: Callable[[str], QueuedJob | None]) -> QueuedJob | None:
        """The job as it is remembered, or as `read` gives it."""
        if known := self.get(job):
            return known
        changes, at = self.changes(), monotonic()
        if found := read(job):
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[job] = found, at, changes
        return found
