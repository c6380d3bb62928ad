"""A job that a worker is running, between the thread that listens to it and the one that waits for it."""

import queue
import threading

from latentry_sdk import Job, LatentryError, Result
from latentry_workers.channel import Message
from latentry_workers.failures import error_of
from latentry_workers.messages import event_of, result_of

GLANCE = 0.02
"""Seconds between two looks at whether the job was cancelled."""

AHEAD = 16
"""Events that are taken in before the job's listener has dealt with the first; then the worker waits."""

PAUSE = 0.001
"""Seconds between two looks at whether there are fewer."""


class Running:
    """The job's messages in order, the last of them how it ended."""

    def __init__(self, job: Job) -> None:
        self.id = job.id
        self._job = job
        self._inbox: queue.SimpleQueue[Message | LatentryError] = queue.SimpleQueue()
        self._left = threading.Event()
        self._ended = threading.Event()

    def put(self, said: Message | LatentryError) -> None:
        """Hand over a message, or the worker's end; waits while there are many and somebody takes them."""
        if isinstance(said, LatentryError) or said["kind"] != "event":
            self._ended.set()
        while self._inbox.qsize() >= AHEAD and not self._left.wait(PAUSE):
            pass
        if not self._left.is_set():
            self._inbox.put(said)

    def result(self) -> Result:
        """Tell the job's listener of each event until the job ends; raises what the job raised."""
        while True:
            self._job.check_cancelled()
            try:
                said = self._inbox.get(timeout=GLANCE)
            except queue.Empty:
                continue
            if isinstance(said, LatentryError):
                raise said
            if said["kind"] == "result":
                return result_of(said["values"])
            if said["kind"] == "failure":
                raise error_of(said["values"])
            if event := event_of(said["values"]):
                self._job.notify(event)

    def leave(self, seconds: float) -> bool:
        """Take in nothing more; whether the job ended within so many seconds."""
        self._left.set()
        return self._ended.wait(seconds)
