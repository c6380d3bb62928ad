"""A worker process: `python -m latentry_workers.worker CHANNEL`, started by the host.

CHANNEL is the descriptor of an open socket. The input ends with the host.
"""

import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import Any

from latentry_sdk import Config, Event, Host, Job, parsed
from latentry_workers.channel import Channel, ChannelLost, Message, Unsendable
from latentry_workers.failures import explained, failure_values
from latentry_workers.greeting import answered
from latentry_workers.messages import event_values, request_of, result_values
from latentry_workers.orphans import end_all, keep
from latentry_workers.warm import WarmModels

log = logging.getLogger("latentry.workers")
BEAT = 1.0
"""Seconds between signs of life."""


class Worker:
    """Runs the jobs that the host submits, one at a time, in the main thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._submitted: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._changing = threading.Lock()
        self._job: Job | None = None
        self._cancelled: str | None = None

    def serve(self) -> None:
        """Greet the host, then work until it says goodbye or is gone."""
        welcome = answered(self._channel)
        for task in (self._listen, self._beat):
            threading.Thread(target=task, daemon=True).start()
        os.nice(welcome["nice"])  # of this thread and those it will start: the two above stay quick
        with Host(config=parsed(Config, welcome["config"])) as host:
            self._work(host, WarmModels(host, welcome["warm"]), welcome["place"])

    def _work(self, host: Host, models: WarmModels, place: dict[str, str]) -> None:
        self._channel.send("ready")
        while message := self._submitted.get():
            kind, values = self._ending(message, host, models, place)
            about = {"job": message["job"], "models": models.models}
            try:
                self._channel.send(kind, **about, values=values)
            except Unsendable as exc:
                self._channel.send("failure", **about, values=failure_values(exc))
        models.close()

    def _ending(self, message: Message, host: Host, models: WarmModels, place: Any) -> tuple[str, Any]:
        try:
            plan = host.plan(request_of(message["request"], place))
            job = self._begun(Job(message["job"], plan, self._tell))
            return "result", result_values(models.run(job, message["model"]))
        except BaseException as exc:  # a plugin may raise SystemExit, and that is no reason to leave
            return "failure", failure_values(explained(exc))
        finally:
            self._job = None

    def _begun(self, job: Job) -> Job:
        with self._changing:
            self._job = job
            if self._cancelled == job.id:
                job.cancel()
        return job

    def _tell(self, event: Event) -> None:
        try:
            self._channel.send("event", job=event.job, values=event_values(event))
        except Unsendable as exc:
            log.warning("%s is not told: %s", type(event).__name__, exc)

    def _cancel(self, job: str) -> None:
        with self._changing:
            self._cancelled = job
            if self._job and self._job.id == job:
                self._job.cancel()

    def _listen(self) -> None:
        """Take in what the host says; without a host there is nothing to finish, in whatever step it is."""
        try:
            while True:
                message = self._channel.receive()
                if message["kind"] == "submit":
                    self._cancelled = None  # a job that was stopped may be asked for again
                    self._submitted.put(message)
                elif message["kind"] == "cancel":
                    self._cancel(message["job"])
                else:
                    self._submitted.put(None)
        finally:
            end_all()

    def _beat(self) -> None:
        try:
            while True:
                time.sleep(BEAT)
                self._channel.send("beat")
        finally:
            end_all()


def main(descriptor: int) -> None:
    """Serve the host at the other end of the socket with this descriptor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _left_to_the_host)
    keep()
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)
    channel = Channel(end)
    os.register_at_fork(after_in_child=channel.close)  # or the host would wait for the child as well
    with contextlib.suppress(ChannelLost):
        Worker(channel).serve()
    end_all()  # at once: taking down an interpreter with torch in it takes seconds


def _left_to_the_host(_number: int, _frame: object) -> None:
    """A host that is told to stop may finish its jobs first. Ignored signals would stay so for children."""


if __name__ == "__main__":
    main(int(sys.argv[1]))
