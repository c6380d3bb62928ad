"""How attempts end: each way that an executor can go, on the real queue."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_store_sql
import latentry_toy
from latentry_api.opening import opened
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_api.telling import SECONDS_BETWEEN_WRITES
from latentry_sdk import (
    Artifact,
    Event,
    ExecutorSpec,
    Host,
    InvalidRequest,
    Job,
    OutOfMemory,
    Preview,
    Previewed,
    Result,
    Stepped,
    hookimpl,
)
from latentry_sdk.queue import KeptEvent, QueuedJob, Timeouts, WorkerDied
from latentry_sdk.service import Caller, NoRoom, NotAllowed, UnknownJob, Wish

WISH = Wish({"task": "toy", "prompt": "a cross", "seed": 1}, {})
ANYONE = Caller()
Act = Callable[[Job], Result]


class Acting:
    """An executor that does what a test says; without a word it runs the toy here."""

    slots = 1

    def __init__(self, host: Host, acts: list[Act]) -> None:
        self._inner = host.registry.executors["inline"].open(host)
        self._acts = acts
        self.runs = 0

    def run(self, job: Job) -> Result:
        self.runs += 1
        return self._acts.pop(0)(job) if self._acts else self._inner.run(job)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def acts() -> list[Act]:
    """What the next runs do."""
    return []


@pytest.fixture
def service(acts: list[Act], tmp_path: Path) -> Iterator[JobService]:
    @hookimpl
    def register_executors() -> Sequence[ExecutorSpec]:
        return [ExecutorSpec("acting", lambda host: Acting(host, acts))]

    plugin = SimpleNamespace(register_executors=register_executors)
    with (
        Host([latentry_toy, latentry_store_sql, plugin]) as host,
        opened(host, ServeOptions(data=tmp_path / "data", executor="acting")) as service,
    ):
        yield service


def raising(error: BaseException) -> Act:
    def act(_job: Job) -> Result:
        raise error

    return act


def until_stopped(job: Job) -> Result:
    while True:
        job.check_cancelled()
        threading.Event().wait(0.005)


def ended(service: JobService, job: QueuedJob) -> QueuedJob:
    return asyncio.run(service.ended(job.id, ANYONE, seconds=20))


def error_of(job: QueuedJob) -> Any:
    assert job.outcome is not None
    assert job.outcome.error is not None
    return job.outcome.error["type"]


def running(service: JobService, job: QueuedJob) -> None:
    while service.job(job.id, ANYONE).status != "running":
        threading.Event().wait(0.005)


def test_a_worker_that_died_gives_the_job_another_attempt(service: JobService, acts: list[Act]) -> None:
    acts += [raising(WorkerDied("killed"))]
    done = ended(service, service.submit(WISH, ANYONE))
    assert (done.status, done.attempts) == ("done", 2)


def test_a_job_that_kills_every_worker_fails_and_the_next_one_runs(
    service: JobService, acts: list[Act]
) -> None:
    acts += [raising(WorkerDied("killed"))] * 3
    poison, good = service.submit(WISH, ANYONE), service.submit(WISH, ANYONE)
    failed = ended(service, poison)
    assert (failed.status, failed.attempts) == ("failed", 3)
    assert ended(service, good).status == "done"


@pytest.mark.parametrize("error", [OutOfMemory("the device is full"), MemoryError()], ids=["device", "host"])
def test_out_of_memory_is_said_and_not_tried_again(
    service: JobService, acts: list[Act], error: Exception
) -> None:
    acts += [raising(error)]
    failed = ended(service, service.submit(WISH, ANYONE))
    assert (failed.status, failed.attempts, error_of(failed)) == ("failed", 1, "out_of_memory")


def test_a_mistake_that_only_the_job_sees_is_the_user_s(service: JobService) -> None:
    failed = ended(service, service.submit(Wish({"task": "toy", "prompt": "a house"}, {}), ANYONE))
    assert (failed.status, failed.attempts, error_of(failed)) == ("failed", 1, "unknown_name")


def test_a_fault_says_no_more_than_its_kind(service: JobService, acts: list[Act]) -> None:
    acts += [raising(RuntimeError("/home/somebody/secret.py"))]
    failed = ended(service, service.submit(WISH, ANYONE))
    assert failed.outcome is not None
    assert failed.outcome.error == {"type": "internal_error", "message": "RuntimeError", "fix": None}


def test_a_running_job_is_cancelled(service: JobService, acts: list[Act]) -> None:
    acts += [until_stopped]
    job = service.submit(WISH, ANYONE)
    running(service, job)
    service.cancel(job.id, ANYONE)
    assert ended(service, job).status == "cancelled"


def test_a_queued_job_is_cancelled_at_once_and_can_be_asked_for_again(
    service: JobService, acts: list[Act]
) -> None:
    acts += [until_stopped]
    first, second = service.submit(WISH, ANYONE), service.submit(WISH, ANYONE)
    running(service, first)
    assert service.cancel(second.id, ANYONE).status == "cancelled"
    assert service.retry(second.id, ANYONE).status == "queued"
    service.cancel(first.id, ANYONE)
    assert ended(service, second).status == "done"


@pytest.mark.parametrize("limit", ["load", "run"])
def test_a_job_that_takes_too_long_is_stopped(service: JobService, acts: list[Act], limit: str) -> None:
    def act(job: Job) -> Result:
        if limit == "run":
            from latentry_sdk import StageStarted

            job.notify(StageStarted(job.id, "sample"))
        return until_stopped(job)

    acts += [act]
    wish = Wish(WISH.request, {}, timeouts=Timeouts(**{limit: 0.3}))
    failed = ended(service, service.submit(wish, ANYONE))
    assert error_of(failed) == "timed_out"
    assert failed.outcome is not None
    assert failed.outcome.error is not None
    assert f"its {limit} took more than 0.3 s" in failed.outcome.error["message"]


def test_only_an_administrator_may_ask_for_more_time_than_the_server_gives(service: JobService) -> None:
    wish = Wish(WISH.request, {}, timeouts=Timeouts(run=7200))
    with pytest.raises(InvalidRequest, match=r"timeouts.run: 7200 s is more than the 3600 s"):
        service.submit(wish, Caller("guest", frozenset({"generate", "read"})))
    assert ended(service, service.submit(wish, ANYONE)).submission.timeouts.run == 7200


def test_with_a_disk_that_is_nearly_full_no_job_is_taken(
    service: JobService, acts: list[Act], monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def act(_job: Job) -> Result:
        go.wait(10)
        return Result((), {}, {})

    acts += [act]
    job = service.submit(WISH, ANYONE)
    monkeypatch.setattr(
        "latentry_sdk.blobs.shutil.disk_usage", lambda _folder: SimpleNamespace(free=199_000_000)
    )
    go.set()
    for refused in (lambda: service.submit(WISH, ANYONE), lambda: service.keep(b"input")):
        with pytest.raises(NoRoom, match="nearly full"):
            refused()
    assert ended(service, job).status == "done"


def test_a_thousand_quick_steps_are_told_live_and_few_are_kept(service: JobService, acts: list[Act]) -> None:
    go = threading.Event()
    seconds: list[float] = []

    def act(job: Job) -> Result:
        go.wait(10)
        began = monotonic()
        for step in range(1000):
            job.notify(Stepped(job.id, step + 1, 1000))
        seconds.append(monotonic() - began)
        job.notify(Previewed(job.id, 1000, 1000, (Preview(0, 1, 1, b"x"),)))
        return Result((), {}, {})

    async def watch(job: str) -> list[Any]:
        found = []
        async for event in service.events(job, ANYONE):
            found.append(event)
            if isinstance(event, KeptEvent) and event.kind == "running":
                go.set()
        return found

    acts += [act]
    job = service.submit(WISH, ANYONE)
    seen = asyncio.run(watch(job.id))
    kept = service.queue.events(job.id)
    assert len([event for event in kept if event.kind == "step"]) <= 2 + seconds[0] / SECONDS_BETWEEN_WRITES
    assert [event for event in seen if isinstance(event, KeptEvent) and event.number] == list(kept)
    assert [event for event in seen if isinstance(event, KeptEvent)][-1].kind == "done"
    assert service.job(job.id, ANYONE).progress == 1.0


def test_progress_is_told_before_it_is_written(service: JobService, acts: list[Act]) -> None:
    half, go = threading.Event(), threading.Event()

    def act(job: Job) -> Result:
        job.notify(Stepped(job.id, 51, 100))
        half.set()
        go.wait(10)
        return Result((), {}, {})

    acts += [act]
    job = service.submit(WISH, ANYONE)
    assert half.wait(10)
    assert service.job(job.id, ANYONE).progress == 0.5
    go.set()


def test_plugins_are_told_what_happens(tmp_path: Path) -> None:
    told: list[Event] = []

    @hookimpl
    def on_event(event: Event) -> None:
        told.append(event)
        raise RuntimeError("a plugin's own fault")

    plugin = SimpleNamespace(on_event=on_event)
    options = ServeOptions(data=tmp_path / "data", executor="inline")
    with Host([latentry_toy, latentry_store_sql, plugin]) as host, opened(host, options) as service:
        assert ended(service, service.submit(WISH, ANYONE)).status == "done"
    assert {"Started", "StageStarted", "Stepped", "ImageReady"} <= {type(event).__name__ for event in told}


def test_one_caller_does_not_see_or_stop_another_s_job(service: JobService, acts: list[Act]) -> None:
    acts += [until_stopped]
    scopes: Any = frozenset({"read", "generate"})
    mine, other = Caller("mine", scopes), Caller("other", scopes)
    job = service.submit(WISH, mine)
    for ask in (service.job, service.cancel, service.retry, service.preview):
        with pytest.raises(UnknownJob):
            ask(job.id, other)
    assert service.jobs(other) == []
    assert [found.id for found in service.jobs(mine)] == [job.id]
    with pytest.raises(NotAllowed):
        service.submit(WISH, Caller("reader", frozenset({"read"})))
    service.cancel(job.id, mine)


def test_a_result_that_cannot_be_written_fails_the_attempt_and_the_next_one_finds_room(
    service: JobService, acts: list[Act]
) -> None:
    folder = service.blobs.path("0" * 64).parents[1]
    result = Result((Artifact(b"picture", "image/png", 1),), {}, {})

    def with_room(_job: Job) -> Result:
        folder.unlink()
        return result

    folder.write_text("in the way")
    acts += [lambda _job: result, with_room]
    done = ended(service, service.submit(WISH, ANYONE))
    assert (done.status, done.attempts) == ("done", 2)
