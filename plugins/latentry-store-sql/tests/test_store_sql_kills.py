"""Processes are killed while they use a queue: what was accepted is there, and each result once."""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import sleep
from typing import Any

import pytest
from sqlalchemy import event, select

from latentry_sdk.queue import Claim, KeptArtifact, LeaseLost, Outcome, QueuedJob, Submission
from latentry_sdk.testing.queues_parts import all_claims
from latentry_store_sql.queue import SqlQueue
from latentry_store_sql.tables import ARTIFACTS, ATTEMPTS, LINES

Opening = Callable[[], SqlQueue]
FORK = get_context("fork")
LEASE = 1.0


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest) -> Opening:
    """What opens the queue, in each database."""
    opening: Opening = request.getfixturevalue(request.param)
    return opening


@dataclass
class Known:
    """What killed processes said before they were killed: accepted jobs, and the artifact of each result."""

    accepted: set[str] = field(default_factory=set)
    results: dict[str, str] = field(default_factory=dict)

    def hear(self, pipe: Connection) -> None:
        """Take in the next word of a process."""
        said, job, *more = pipe.recv()
        if said == "accepted":
            self.accepted.add(job)
        else:
            assert job not in self.results, "it has two results"
            self.results[job] = more[0]

    def listen(self, pipe: Connection) -> None:
        """Take in all that is left in the pipe of a process that has ended."""
        with suppress(EOFError):
            while True:
                self.hear(pipe)


def one_round(queue: SqlQueue, say: Callable[..., None], number: int) -> None:
    """All that is done to a queue, once: some jobs are finished, some given back, one is cancelled."""
    for owner in "ab":
        say(
            "accepted", queue.submit(Submission({"n": number}, owner=owner, key=f"{os.getpid()} {number}")).id
        )
    say("accepted", queue.submit(Submission({"n": number}, priority=-1)).id)
    queue.recover()
    for turn in range(3):
        if claim := queue.claim(f"process {os.getpid()}", LEASE):
            with suppress(LeaseLost):
                work(queue, say, claim, give_back=turn == 1)
    if waiting := queue.jobs(statuses={"queued"}, limit=1):
        queue.cancel(waiting[0].id)


def work(queue: SqlQueue, say: Callable[..., None], claim: Claim, *, give_back: bool) -> None:
    queue.append(claim, "step", {"step": 1})
    queue.renew(claim, LEASE, 0.5)
    if give_back:
        queue.release(claim, failed=False)
        return
    name = f"{claim.job.id}-{claim.token}"
    queue.finish(claim, Outcome("done", [KeptArtifact(name, "d" * 64, "image/png", 1, 1)]))
    say("done", claim.job.id, name)


def in_a_process(body: Callable[[Callable[..., None]], None]) -> tuple[Any, Connection]:
    """A forked process and what it says; it ends without any clean-up of this one's."""
    ours, theirs = FORK.Pipe(duplex=False)

    def target() -> None:
        try:
            body(lambda *said: theirs.send(said))
        except BaseException as exc:
            sys.__stderr__.write(f"{exc!r}\n")
            os._exit(3)
        os._exit(0)

    process = FORK.Process(target=target)
    process.start()
    theirs.close()
    return process, ours


def assert_whole(queue: SqlQueue, known: Known) -> dict[str, QueuedJob]:
    """Every job that was accepted is there, every result that was told of is, and counts are right."""
    jobs = {job.id: job for job in queue.jobs(limit=100_000)}
    assert known.accepted <= jobs.keys()
    for job in jobs.values():
        events = queue.events(job.id)
        assert [each.number for each in events] == list(range(1, len(events) + 1))
        assert events[-1].kind == job.status or job.status == "running"
        made = [one.id for one in job.outcome.artifacts] if job.outcome else []
        assert len(made) == (job.status == "done")
        assert [each.kind for each in events].count("done") == (job.status == "done")
        assert known.results.get(job.id, *made) in made if job.id in known.results else True
    waiting = sum(job.status == "queued" for job in jobs.values())
    with queue._database.reading() as connection:
        assert sum(row.waiting for row in connection.execute(select(LINES))) == waiting
        owners = connection.execute(select(ARTIFACTS.c.job)).scalars().all()
        assert len(owners) == len(set(owners)) == sum(job.status == "done" for job in jobs.values())
        running = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.end.is_(None))).all()
        assert len(running) == sum(job.status == "running" for job in jobs.values())
    return jobs


def run_all(queue: SqlQueue) -> None:
    """Finish all that there is, as the next process would."""
    sleep(1.5 * LEASE)
    queue.recover()
    for claim in all_claims(queue):
        queue.finish(claim, Outcome("done", [KeptArtifact(claim.token, "d" * 64, "image/png", 1, 1)]))


def how_they_ended(queue: SqlQueue, known: Known) -> Iterator[str]:
    for job in assert_whole(queue, known).values():
        error = job.outcome.error if job.outcome else None
        yield f"failed by {error['type']}" if error else job.status


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_time_loses_nothing(opening: Opening) -> None:
    """26 kills, most with another process at the queue all the while."""
    known, chance = Known(), random.Random(25)

    def body(say: Callable[..., None]) -> None:
        queue = opening()
        for number in range(1_000_000):
            one_round(queue, say, number)

    running = [in_a_process(body) for _ in range(2)]
    for kill in range(26):
        process, pipe = running.pop(0)
        for _ in range(chance.randrange(1, 12)):
            known.hear(pipe)
        sleep(chance.uniform(0.0, 0.02))
        process.kill()
        known.listen(pipe)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        if kill < 24:
            running.append(in_a_process(body))
    queue = opening()
    assert_whole(queue, known)
    run_all(queue)
    ends = set(how_they_ended(queue, known))
    assert ends <= {"done", "cancelled", "failed by attempts_exhausted"}
    assert len(known.accepted) > 25
    assert len(known.results) > 5
    queue.close()


@pytest.mark.slow
def test_a_process_that_is_killed_before_any_statement_loses_nothing(opening: Opening) -> None:
    """One kill before each statement of a round, BEGIN and COMMIT among them."""
    known, point = Known(), 1
    while was_killed(known, lambda say, point=point: killed_at(point, opening, say)):
        point += 1
    assert point > 40
    queue = opening()
    assert_whole(queue, known)
    run_all(queue)
    assert set(how_they_ended(queue, known)) == {"done", "cancelled", "failed by attempts_exhausted"}
    queue.close()


def was_killed(known: Known, body: Callable[..., None]) -> bool:
    """Whether a process was killed, rather than coming to its end."""
    process, pipe = in_a_process(body)
    known.listen(pipe)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def killed_at(point: int, opening: Opening, say: Callable[..., None]) -> None:
    """One round by a process that kills itself before its statement of this number."""
    queue, left = opening(), point

    def count(*_anything: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    engine: Any = queue._database._engine
    for moment in ("before_cursor_execute", "commit"):
        event.listen(engine, moment, count)
    one_round(queue, say, 0)
