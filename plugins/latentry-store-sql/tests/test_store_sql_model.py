"""Whatever is done to a queue, in whatever order, equals a simple model of one in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from latentry_sdk.queue import (
    Claim,
    KeptArtifact,
    KeyReused,
    LeaseLost,
    Outcome,
    QueuedJob,
    QueueFull,
    Submission,
)
from latentry_store_sql.opening import open_queue

LIMIT, ATTEMPTS, LONG, SHORT = 6, 2, 3600.0, 0.001
OWNERS, PRIORITIES = st.sampled_from("abc"), st.sampled_from([0, 0, 5])
OUTCOMES = st.sampled_from(["done", "failed", "cancelled"])


@dataclass
class Expected:
    """A job as the model has it."""

    owner: str
    priority: int
    key: str | None
    status: str = "queued"
    attempts: int = 0
    cancelling: bool = False
    token: str | None = None
    short: bool = False
    kinds: list[str] = field(default_factory=lambda: ["queued"])

    def become(self, status: str, **more: Any) -> None:
        """Change, and tell."""
        self.status = status
        self.kinds.append(status)
        self.token, self.short = None, False
        for name, value in more.items():
            setattr(self, name, value)

    def give_back(self, *, failed: bool) -> None:
        """What becomes of a running job that nobody runs any more."""
        if self.cancelling:
            self.become("cancelled")
        elif failed and self.attempts >= ATTEMPTS:
            self.become("failed")
        else:
            self.become("queued", attempts=self.attempts - (not failed))


class Model(RuleBasedStateMachine):
    """The queue, and beside it a dictionary of jobs in the order in which they came."""

    ids: Bundle[str] = Bundle("ids")
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.queue = open_queue(Path(self.folder.name))
        self.jobs: dict[str, Expected] = {}
        self.turns: dict[tuple[int, str], int] = {}

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    @initialize(target=ids, owners=st.lists(OWNERS, min_size=3, max_size=LIMIT))
    def begin(self, owners: list[str]) -> Any:
        """Several jobs wait, so that there is something to choose from."""
        return multiple(*(self.submit(owner, 0, None, 0) for owner in owners))

    @rule(
        target=ids,
        owner=OWNERS,
        priority=PRIORITIES,
        key=st.sampled_from([None, None, "k"]),
        n=st.integers(0, 1),
    )
    def submit(self, owner: str, priority: int, key: str | None, n: int) -> Any:
        submission = Submission({"n": n}, owner, priority, key)
        earlier = next(
            (id_ for id_, job in self.jobs.items() if key and (job.owner, job.key) == (owner, key)), None
        )
        full = len(self.waiting()) >= LIMIT
        try:
            job = self.queue.submit(submission)
        except KeyReused:
            assert earlier
            return multiple()
        except QueueFull:
            assert full
            assert not earlier
            return multiple()
        assert job.id == earlier or not (full or earlier)
        self.jobs.setdefault(job.id, Expected(owner, priority, key))
        self.turns.setdefault((priority, owner), 0)
        return job.id

    @rule(target=claims, short=st.booleans())
    def claim(self, short: bool) -> Any:
        claim = self.queue.claim("worker", SHORT if short else LONG)
        wanted = self.next()
        if claim is None:
            assert wanted is None
            return multiple()
        assert claim.job.id == wanted
        job = self.jobs[claim.job.id]
        job.become("running", attempts=job.attempts + 1, token=claim.token, short=short)
        self.turns[job.priority, job.owner] = 1 + max(self.turns.values())
        return claim

    @rule(claim=claims, what=st.sampled_from(["renew", "append"]))
    def use(self, claim: Claim, what: str) -> None:
        job = self.held(claim)
        if what == "renew":
            if self.allowed(job, lambda: self.queue.renew(claim, LONG, 0.5)) and job:
                job.short = False
        elif self.allowed(job, lambda: self.queue.append(claim, "step", {})) and job:
            job.kinds.append("step")

    @rule(claim=claims, status=OUTCOMES)
    def finish(self, claim: Claim, status: Any) -> None:
        made = [KeptArtifact(claim.token, "d" * 64, "image/png", 1, 1)] if status == "done" else []
        job = self.held(claim)
        if self.allowed(job, lambda: self.queue.finish(claim, Outcome(status, made))) and job:
            job.become(status)

    @rule(claim=consumes(claims), failed=st.booleans())
    def release(self, claim: Claim, failed: bool) -> None:
        job = self.held(claim)
        if self.allowed(job, lambda: self.queue.release(claim, failed=failed)) and job:
            job.give_back(failed=failed)

    @rule(id_=ids)
    def cancel(self, id_: str) -> None:
        job = self.jobs[id_]
        self.queue.cancel(id_)
        if job.status == "queued":
            job.become("cancelled")
        elif job.status == "running" and not job.cancelling:
            job.cancelling = True
            job.kinds.append("cancelling")

    @rule(id_=ids)
    def retry(self, id_: str) -> None:
        job, full = self.jobs[id_], len(self.waiting()) >= LIMIT
        try:
            self.queue.retry(id_)
        except QueueFull:
            assert full
            return
        if job.status in ("failed", "cancelled"):
            assert not full
            job.become("queued", attempts=0, cancelling=False)

    @rule()
    def recover(self) -> None:
        sleep(2 * SHORT)
        lost = {id_ for id_, job in self.jobs.items() if job.status == "running" and job.short}
        assert {job.id for job in self.queue.recover()} == lost
        for id_ in lost:
            self.jobs[id_].give_back(failed=True)

    @rule()
    def restart(self) -> None:
        """A new host gives back all that ran."""
        self.queue.close()
        self.queue = open_queue(Path(self.folder.name))
        for job in self.jobs.values():
            if job.status == "running":
                job.give_back(failed=True)

    @invariant()
    def all_is_as_expected(self) -> None:
        found = self.queue.jobs(limit=1000)
        assert [job.id for job in found] == list(self.jobs)[::-1]
        assert [seen(job) for job in found][::-1] == [
            (job.status, job.attempts, job.cancelling, job.status == "done") for job in self.jobs.values()
        ]
        for id_, job in self.jobs.items():
            assert [event.kind for event in self.queue.events(id_)] == job.kinds

    def waiting(self) -> list[str]:
        return [id_ for id_, job in self.jobs.items() if job.status == "queued"]

    def next(self) -> str | None:
        """By priority, then the line whose turn is longest ago, then the oldest."""
        waiting = {(self.jobs[id_].priority, self.jobs[id_].owner) for id_ in self.waiting()}
        lines = [line for line in self.turns if line in waiting]  # in the order in which they were first seen
        if not lines:
            return None
        line = min(lines, key=lambda line: (-line[0], self.turns[line]))
        return next(id_ for id_ in self.waiting() if (self.jobs[id_].priority, self.jobs[id_].owner) == line)

    def held(self, claim: Claim) -> Expected | None:
        job = self.jobs[claim.job.id]
        return job if job.token == claim.token else None

    def allowed(self, job: Expected | None, use: Callable[[], object]) -> bool:
        """Use a claim, which must work where it is held and be refused where it is not."""
        if job:
            use()
            return True
        with pytest.raises(LeaseLost):
            use()
        return False


def seen(job: QueuedJob) -> tuple[str, int, bool, bool]:
    made = bool(job.outcome and job.outcome.artifacts)
    return job.status, job.attempts, job.cancelling, made


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTRY_QUEUE_LIMIT", str(LIMIT))
    monkeypatch.setenv("LATENTRY_QUEUE_ATTEMPTS", str(ATTEMPTS))


class TestModel(Model.TestCase):  # type: ignore[misc, name-defined]
    """Random ways through all that a queue can be asked."""

    settings = settings(
        max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
