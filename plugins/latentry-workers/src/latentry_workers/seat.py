"""A place for one worker: a process is started for it, listened to, and replaced when it ends."""

import logging
import threading
from contextlib import suppress

from latentry_sdk import LatentryError, Unavailable
from latentry_sdk.queue import WorkerDied
from latentry_workers.channel import Channel, ChannelClosed, ChannelLost
from latentry_workers.greeting import Values, greet
from latentry_workers.options import WorkerOptions, WorkersOptions
from latentry_workers.process import WorkerProcess
from latentry_workers.running import Running

log = logging.getLogger("latentry.workers")
FAREWELL = 5.0
"""Seconds a worker has to leave after a goodbye."""

SOONEST, LATEST = 0.25, 30.0
"""Seconds until the next start after the first and after many bad ends in a row."""

KILLED = "if nobody ended it, look in the system's log whether memory ran out"


class Seat:
    """Where one worker sits, one process after the other.

    `changed` guards `running`, `models`, `jobs`, `failure` and `failures`, and is told of every change.
    `failure` says why no process could be started, until one is, and `failures` counts those tries.
    """

    def __init__(
        self, name: str, options: WorkersOptions, config: Values, changed: threading.Condition
    ) -> None:
        self.name = name
        self.running: Running | None = None
        self.models: list[str] = []
        self.jobs = 0
        self.failure: LatentryError | None = None
        self.failures = 0
        self._options, self._config, self._changed = options, config, changed
        self._process: WorkerProcess | None = None
        self._ready = self._leaving = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._lives, name=f"worker {name}", daemon=True)
        self._thread.start()

    @property
    def own(self) -> WorkerOptions:
        """The options of this worker alone."""
        return self._options.processes[self.name]

    @property
    def up(self) -> bool:
        """Whether the worker takes jobs, now or after the one it runs."""
        return self._ready and not self._leaving

    def send(self, kind: str, **values: object) -> None:
        """Tell the worker; raises `Unsendable`. That it is gone is noticed where it is listened to."""
        with suppress(ChannelLost):
            if process := self._process:
                process.channel.send(kind, **values)

    def replace(self, *, at_once: bool = False) -> None:
        """Have another process take the seat: this one leaves by itself, or is ended `at_once`."""
        with self._changed:
            process = self._process
            self._leaving = process is not None
        if process is None:
            return
        if at_once or not self._ready:
            process.kill()
        else:
            self.send("goodbye")
            process.kill_after(FAREWELL)

    def close(self) -> None:
        """End the worker, at once if it runs a job, and start no other."""
        self._closed.set()
        self.replace(at_once=self.running is not None)

    def join(self) -> None:
        """Wait until the worker is gone."""
        self._thread.join(2 * FAREWELL)

    def _lives(self) -> None:
        """One process after the other, the next at once only if the last one's end was wanted."""
        bad_ends = 0
        while not self._closed.is_set():
            error = self._life()
            bad_ends = 0 if self._leaving else 1 if self.jobs else bad_ends + 1
            self._over(error)
            self._closed.wait(min(SOONEST * 2 ** (bad_ends - 1), LATEST) if bad_ends else 0)

    def _life(self) -> LatentryError:
        """A process from start to end; why it ended."""
        try:
            self._process = process = WorkerProcess(self.name, self.own)
        except Exception as exc:  # no memory, no descriptor, no thread left: it may be better later
            return WorkerDied(f"worker {self.name!r} cannot be started: {exc}")
        try:
            if not self._closed.is_set():
                greet(process.channel, self.name, self._options, self._config)
                self._begin()
                self._listen(process.channel)
        except Exception as exc:  # what a process sends can be anything
            return self._reason(exc, process.end(), process)
        return WorkerDied(f"worker {self.name!r} {process.end()} as it was closed")

    def _begin(self) -> None:
        with self._changed:
            self._ready, self.failure = True, None
            self._changed.notify_all()

    def _listen(self, channel: Channel) -> None:
        while True:
            message = channel.receive()
            with self._changed:
                running = self.running
                if message["kind"] in ("result", "failure"):
                    self.models, self.jobs = message["models"], self.jobs + 1
            if running and message.get("job") == running.id:
                running.put(message)

    def _reason(self, exc: Exception, how: str, process: WorkerProcess) -> LatentryError:
        """Why the process ended: by what it did wrong, or how it went by itself."""
        if isinstance(exc, Unavailable):
            return exc
        wrong = exc.message if isinstance(exc, LatentryError) else f"sent what is wrong: {exc!r:.200}"
        what = how if isinstance(exc, ChannelClosed) else wrong
        if self._ready:
            return WorkerDied(
                f"worker {self.name!r} {what}", fix=KILLED if what.endswith("SIGKILL") else None
            )
        said = f": {process.output.last[-1]}" if process.output.last else ""
        return WorkerDied(f"worker {self.name!r} {what} before it was ready{said}")

    def _over(self, error: LatentryError) -> None:
        """Nobody sits here for now."""
        if not self._leaving:
            log.warning("%s", error)
        with self._changed:
            self.failure = None if self._ready or self._leaving else error
            self.failures += self.failure is not None
            running, self.models, self.jobs = self.running, [], 0
            self._process, self._ready, self._leaving = None, False, False
            self._changed.notify_all()
        if running:
            running.put(error)
