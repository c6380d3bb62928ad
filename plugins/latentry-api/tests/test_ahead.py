"""The next job is made ready while the one before ends, and nobody can tell but by the clock."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_store_sql
import latentry_toy
from latentry_api import attempt
from latentry_api.opening import opened
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Artifact, ExecutorSpec, Host, Job, Result, StageStarted, hookimpl
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import QueuedJob, Timeouts, WorkerDied
from latentry_sdk.service import Caller, Wish

WISH = Wish({"task": "toy", "prompt": "a cross", "seed": 1}, {})
ANYONE = Caller()
DONE = Result((), {}, {})


class Staged:
    """An executor whose first job stands still in its last stage, until `go`; the others end at once."""

    slots = 1
    replans = True

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = threading.Event()
        self.told_at_once = True
        self.end: Callable[[], Result] = lambda: DONE

    def run(self, job: Job) -> Result:
        self.begun.append(job.id)
        job.check_cancelled()
        if len(self.begun) > 1:
            return DONE
        if self.told_at_once:
            self.last_stage(job)
        assert self.go.wait(20)
        return self.end()

    def last_stage(self, job: Job) -> None:
        job.notify(StageStarted(job.id, job.plan.stages[-1].name))

    def close(self) -> None:
        self.go.set()


@pytest.fixture
def executor() -> Staged:
    return Staged()


@pytest.fixture
def service(executor: Staged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobService]:
    monkeypatch.setattr(attempt, "AHEAD_SECONDS", 60)  # whatever else the machine does meanwhile

    @hookimpl
    def register_executors() -> Sequence[ExecutorSpec]:
        return [ExecutorSpec("staged", lambda _host: executor)]

    plugin = SimpleNamespace(register_executors=register_executors)
    with (
        Host([latentry_toy, latentry_store_sql, plugin]) as host,
        opened(host, ServeOptions(data=tmp_path / "data", executor="staged")) as service,
    ):
        yield service


def until(true: Callable[[], object], seconds: float = 20.0) -> float:
    """Wait until it is so; how long that took."""
    began = monotonic()
    while not true():
        assert monotonic() < began + seconds, "it took too long"
        threading.Event().wait(0.002)
    return monotonic() - began


def status(service: JobService, job: QueuedJob) -> str:
    found = service.queue.job(job.id)
    assert found is not None
    return found.status


def two_jobs(service: JobService, executor: Staged, **more: Any) -> tuple[QueuedJob, QueuedJob]:
    """One in its last stage, and another that is ready."""
    first, second = service.submit(WISH, ANYONE), service.submit(Wish(WISH.request, {}, **more), ANYONE)
    until(lambda: "running" in kinds(service, second))
    assert executor.begun == [first.id]
    return first, second


def ended(service: JobService, job: QueuedJob) -> QueuedJob:
    until(lambda: status(service, job) in ("done", "failed", "cancelled"))
    found = service.queue.job(job.id)
    assert found is not None
    return found


def kinds(service: JobService, job: QueuedJob) -> list[str]:
    return [event.kind for event in service.queue.events(job.id)]


def test_the_next_job_is_ready_in_the_last_stage_and_begins_after_it(
    service: JobService, executor: Staged
) -> None:
    first, second = two_jobs(service, executor)
    executor.go.set()
    assert [ended(service, job).status for job in (first, second)] == ["done", "done"]
    assert executor.begun == [first.id, second.id]


def test_a_job_that_comes_in_the_last_stage_is_made_ready_too(service: JobService, executor: Staged) -> None:
    first = service.submit(WISH, ANYONE)
    until(lambda: executor.begun == [first.id])
    threading.Event().wait(0.3)
    second = service.submit(WISH, ANYONE)
    until(lambda: status(service, second) == "running")
    assert executor.begun == [first.id]
    executor.go.set()


def test_before_its_last_stage_no_other_job_is_taken(service: JobService, executor: Staged) -> None:
    executor.told_at_once = False
    first, second = service.submit(WISH, ANYONE), service.submit(WISH, ANYONE)
    until(lambda: executor.begun == [first.id])
    threading.Event().wait(0.3)
    assert status(service, second) == "queued"


def test_an_executor_that_does_not_plan_again_gets_no_job_that_was_planned_beside_another(
    service: JobService, executor: Staged, tmp_path: Path
) -> None:
    executor.replans = False
    options = ServeOptions(data=tmp_path / "other", executor="staged")
    with opened(service.host, options) as other:
        first, second = other.submit(WISH, ANYONE), other.submit(WISH, ANYONE)
        until(lambda: executor.begun == [first.id])
        threading.Event().wait(0.3)
        assert status(other, second) == "queued"
        executor.go.set()


def test_a_result_is_written_down_while_the_next_job_runs(
    service: JobService, executor: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, written = Blobs.keep, threading.Event()

    def slowly(blobs: Blobs, data: bytes) -> str:
        assert written.wait(20)
        return keep(blobs, data)

    monkeypatch.setattr(Blobs, "keep", slowly)
    executor.end = lambda: Result((Artifact(b"picture", "image/png", 1),), {}, {})
    first, second = two_jobs(service, executor)
    executor.go.set()
    assert ended(service, second).status == "done"
    assert status(service, first) == "running"
    written.set()
    assert ended(service, first).status == "done"


def test_a_job_that_is_ready_is_cancelled_at_once(service: JobService, executor: Staged) -> None:
    _, second = two_jobs(service, executor)
    service.cancel(second.id, ANYONE)
    assert until(lambda: status(service, second) == "cancelled") < 0.5
    executor.go.set()
    assert second.id not in executor.begun


def test_a_job_that_is_ready_gives_way_to_a_higher_priority_and_is_not_charged(
    service: JobService, executor: Staged
) -> None:
    first, second = two_jobs(service, executor)
    alike = service.submit(WISH, ANYONE)
    assert status(service, second) == "running"
    urgent = service.submit(Wish(WISH.request, {}, priority=1), ANYONE)
    until(lambda: "queued" in kinds(service, second)[1:])
    executor.go.set()
    jobs = [ended(service, job) for job in (first, urgent, second, alike)]
    assert executor.begun == [job.id for job in jobs]
    assert [job.attempts for job in jobs] == [1, 1, 1, 1]


def test_when_the_worker_dies_the_job_that_was_ready_is_not_charged(
    service: JobService, executor: Staged
) -> None:
    def die() -> Result:
        raise WorkerDied("killed")

    executor.end = die
    first, second = two_jobs(service, executor)
    executor.go.set()
    jobs = [ended(service, job) for job in (first, second)]
    assert [(job.status, job.attempts) for job in jobs] == [("done", 2), ("done", 1)]
    assert sorted(executor.begun) == sorted([first.id, first.id, second.id])


def test_beside_a_job_that_is_tried_again_none_is_made_ready(service: JobService, executor: Staged) -> None:
    def again(job: Job) -> Result:
        executor.last_stage(job)
        assert executor.go.wait(20)
        return DONE

    runs: list[Callable[[Job], Result]] = [lambda _job: (_ for _ in ()).throw(WorkerDied("killed")), again]
    executor.run = lambda job: runs.pop(0)(job) if runs else DONE  # type: ignore[method-assign]
    first = service.submit(WISH, ANYONE)
    until(lambda: kinds(service, first).count("running") == 2)
    second = service.submit(WISH, ANYONE)
    threading.Event().wait(0.3)
    assert status(service, second) == "queued"
    executor.go.set()
    assert [ended(service, job).attempts for job in (first, second)] == [2, 1]


def test_a_server_that_stops_gives_the_job_that_was_ready_back(service: JobService, executor: Staged) -> None:
    first, second = two_jobs(service, executor)
    draining = threading.Thread(target=service.dispatcher.drain, args=(20,))
    draining.start()
    until(lambda: status(service, second) == "queued")
    executor.go.set()
    draining.join()
    assert (ended(service, first).status, executor.begun) == ("done", [first.id])
    waiting = service.queue.job(second.id)
    assert waiting is not None
    assert (waiting.status, waiting.attempts) == ("queued", 0)


def test_a_job_that_was_ready_too_early_waits_in_the_queue_again(
    service: JobService, executor: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "AHEAD_SECONDS", 0.1)
    first, second = two_jobs(service, executor)
    until(lambda: status(service, second) == "queued")
    threading.Event().wait(0.3)
    assert kinds(service, second) == ["queued", "running", "queued"]
    executor.go.set()
    assert [ended(service, job).attempts for job in (first, second)] == [1, 1]
    assert executor.begun == [first.id, second.id]


def test_the_time_for_loading_does_not_count_while_another_job_runs(
    service: JobService, executor: Staged
) -> None:
    first, second = two_jobs(service, executor, timeouts=Timeouts(load=0.1))
    threading.Event().wait(0.5)
    executor.go.set()
    assert [ended(service, job).status for job in (first, second)] == ["done", "done"]
