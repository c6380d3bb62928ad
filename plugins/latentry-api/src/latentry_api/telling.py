"""Tell of a running job: plugins at once, watchers at once, the store now and then."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from latentry_api.hub import Hub
from latentry_api.news import told
from latentry_sdk import Event, Host, Previewed, StageStarted, Stepped
from latentry_sdk.queue import Claim, KeptEvent, LeaseLost, Queue

log = logging.getLogger(__name__)
SECONDS_BETWEEN_WRITES = 0.2
PASSING = (StageStarted, Stepped)
"""Events that are kept only if the last write is some time ago; watchers are told of all."""


@dataclass
class Teller:
    """Takes in the events of one claimed job; calls `lost` where the lease turns out to be another's.

    `loaded` is when the model was there, by the monotonic clock.
    """

    host: Host
    queue: Queue
    hub: Hub
    claim: Claim
    lost: Callable[[], None]
    loaded: float | None = None
    _written: float = 0.0

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        self._tell_plugins(event)
        if isinstance(event, Previewed):
            for preview in event.images:
                self.hub.publish(event.job, preview)
            return
        if self.loaded is None and isinstance(event, StageStarted) and event.stage != "load":
            self.loaded = monotonic()
        if isinstance(event, Stepped):
            self.hub.advance(event.job, (event.step - 1) / event.steps)
        self._tell_watchers(event.job, *told(event), keep=not isinstance(event, PASSING))

    def _tell_plugins(self, event: Event) -> None:
        for implementation in self.host.hook.on_event.get_hookimpls():
            try:
                implementation.function(event)
            except Exception:
                log.exception("a plugin failed to take in %s", type(event).__name__)

    def _tell_watchers(self, job: str, kind: str, data: Mapping[str, Any], *, keep: bool) -> None:
        now = monotonic()
        if not keep and now - self._written < SECONDS_BETWEEN_WRITES:
            self.hub.publish(job, KeptEvent(job, 0, 0.0, kind, data))
            return
        self._written = now
        try:
            self.hub.publish(job, self.queue.append(self.claim, kind, data))
        except LeaseLost:
            self.lost()
