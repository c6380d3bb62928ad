"""The executor `workers`: gives each job to a free worker, and stays in charge of it until it has ended."""

import hashlib
import logging
import os
import threading
from collections.abc import Sequence

from latentry_sdk import Host, Job, LatentryError, OutOfMemory, Result, Unavailable
from latentry_sdk.queue import WorkerDied
from latentry_workers.channel import Unsendable
from latentry_workers.messages import request_values
from latentry_workers.options import options_of
from latentry_workers.running import GLANCE, Running
from latentry_workers.seat import Seat

log = logging.getLogger("latentry.workers")


class WorkersExecutor:
    """Runs as many jobs at once as there are workers; safe to call from several threads.

    Workers start when the executor is opened.
    """

    def __init__(self, host: Host) -> None:
        if os.name != "posix":
            raise Unavailable("worker processes need Linux or macOS", fix="choose the executor 'inline'")
        self._options = options_of(host)
        self._changed = threading.Condition()
        self._closed = False
        config = host.config.model_dump(mode="json") | {"executor": "inline", "store": "memory"}
        self._seats = [Seat(name, self._options, config, self._changed) for name in self._options.processes]

    @property
    def slots(self) -> int:
        """How many jobs run at once."""
        return len(self._seats)

    @property
    def ready(self) -> bool:
        """Whether some worker is there for the next job."""
        return any(seat.up for seat in self._seats)

    @property
    def replans(self) -> bool:
        """Whether jobs may be planned while others run: a worker plans each again when it begins."""
        return True

    def run(self, job: Job) -> Result:
        """Run in a worker to the end; raises what the job raised, `WorkerDied`, or `OutOfMemory`.

        Where every fitting worker is busy, waits for one.
        """
        request, model = request_values(job.plan), _model_of(job)
        seat, running = self._taken(job, model)
        try:
            self._submit(seat, running, request=request, model=model)
            return running.result()
        except BaseException as exc:
            self._leave(seat, running, exc)
            raise
        finally:
            self._give_back(seat)

    def close(self) -> None:
        """End all workers; a job that still runs is ended with `WorkerDied`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for seat in self._seats:
            seat.close()
        for seat in self._seats:
            seat.join()

    def _taken(self, job: Job, model: str) -> tuple[Seat, Running]:
        """A free worker that may run the job, preferably one that has its model loaded.

        Waits while there is none. Gives up when every fitting one has been tried to start, and failed, since.
        """
        fitting = self._fitting(job)
        with self._changed:
            tried = {seat.name: seat.failures for seat in fitting}
            while True:
                job.check_cancelled()
                if self._closed:
                    raise WorkerDied("the workers are closed")
                if free := [seat for seat in fitting if seat.up and seat.running is None]:
                    seat = max(free, key=lambda seat: (model in seat.models, -len(seat.models)))
                    seat.running = Running(job)
                    return seat, seat.running
                if all(seat.failure and seat.failures > tried[seat.name] for seat in fitting):
                    raise _cannot_start(fitting[0])
                self._changed.wait(GLANCE)

    def _fitting(self, job: Job) -> Sequence[Seat]:
        """The workers that own what the job names; those that own nothing in particular take all jobs."""
        named = {*job.plan.request.place.values()}
        owned = {seat.name: {*seat.own.place.values()} for seat in self._seats}
        fitting = [seat for seat in self._seats if not owned[seat.name] or named <= owned[seat.name]]
        if not fitting:
            known = "; ".join(f"{name}: {', '.join(sorted(devices))}" for name, devices in owned.items())
            raise Unavailable(f"no worker owns {' and '.join(sorted(named))}; workers own {known}")
        return fitting

    def _submit(self, seat: Seat, running: Running, **values: object) -> None:
        try:
            seat.send("submit", job=running.id, **values)
        except Unsendable as exc:  # nothing was sent, and nothing has to be stopped
            running.put(exc)

    def _leave(self, seat: Seat, running: Running, why: BaseException) -> None:
        """See to it that the worker does no more for a job that ended, or that nobody waits for now."""
        if isinstance(why, OutOfMemory):
            seat.replace()
        if not running.leave(0):
            seat.send("cancel", job=running.id)
            if not running.leave(self._options.grace):
                log.warning("worker %r went on with job %s, and is ended", seat.name, running.id)
                seat.replace(at_once=True)

    def _give_back(self, seat: Seat) -> None:
        if self._options.jobs is not None and seat.jobs >= self._options.jobs:
            seat.replace()
        with self._changed:
            seat.running = None
            self._changed.notify_all()


def _cannot_start(seat: Seat) -> WorkerDied:
    """Why the worker could not be started; no mistake of the job's user, even if it is one of somebody's."""
    why = seat.failure or LatentryError("it was not started")
    return WorkerDied(why.message, fix=why.fix)


def _model_of(job: Job) -> str:
    """The same for jobs that can share loaded weights."""
    return hashlib.sha256(repr(job.plan.model_key()).encode()).hexdigest()
