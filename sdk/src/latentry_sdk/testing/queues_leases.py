"""Tests of a queue: leases run out and come back, and attempts are counted."""

from collections.abc import Callable
from time import sleep
from typing import Any

import pytest

from latentry_sdk.queue import Claim, LeaseLost, Outcome, Queue
from latentry_sdk.testing.queues_parts import BRIEFLY, FOREVER, artifact, claimed, submitted

USES: dict[str, Callable[[Queue, Claim], Any]] = {
    "renew": lambda queue, claim: queue.renew(claim, FOREVER, 0.5),
    "append": lambda queue, claim: queue.append(claim, "step", {}),
    "finish": lambda queue, claim: queue.finish(claim, Outcome("done", [artifact(claim.job.id)])),
    "release": lambda queue, claim: queue.release(claim, failed=False),
    "release as failed": lambda queue, claim: queue.release(claim, failed=True),
}
"""All that a claim is good for."""


class Leases:
    """A job is one worker's until its lease ends."""

    attempts: int

    def test_a_claimed_job_runs(self, queue: Queue) -> None:
        """And is not claimed again."""
        (job,) = submitted(queue, 1)
        claim = claimed(queue)
        assert (claim.job.id, claim.job.status, claim.job.attempts) == (job.id, "running", 1)
        assert claim.job.started is not None
        assert queue.claim("other", FOREVER) is None
        assert queue.recover() == []

    def test_nothing_waits_so_nothing_is_claimed(self, queue: Queue) -> None:
        """In an empty queue."""
        assert queue.claim("worker", FOREVER) is None

    def test_a_job_whose_lease_ran_out_comes_back(self, queue: Queue) -> None:
        """To be claimed with another token."""
        (job,) = submitted(queue, 1)
        lost = lose_lease(queue)
        waiting = queue.job(job.id)
        assert waiting
        assert (waiting.status, waiting.attempts, waiting.progress) == ("queued", 1, 0.0)
        again = claimed(queue)
        assert (again.job.id, again.job.attempts) == (job.id, 2)
        assert again.token != lost.token

    @pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
    def test_a_lost_claim_is_good_for_nothing(self, queue: Queue, use: Callable[[Queue, Claim], Any]) -> None:
        """Before and after another one has the job."""
        submitted(queue, 1)
        lost = lose_lease(queue)
        self._is_refused(queue, lost, use)
        claimed(queue)
        self._is_refused(queue, lost, use)

    @pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
    def test_a_claim_is_good_for_nothing_when_the_job_has_ended(
        self, queue: Queue, use: Callable[[Queue, Claim], Any]
    ) -> None:
        """What was kept stays."""
        submitted(queue, 1)
        claim = claimed(queue)
        queue.finish(claim, Outcome("done", [artifact("first")]))
        self._is_refused(queue, claim, use)

    def test_a_renewed_lease_lasts(self, queue: Queue) -> None:
        """And says how far the job is."""
        submitted(queue, 1)
        claim = claimed(queue, 10 * BRIEFLY)
        assert queue.renew(claim, FOREVER, 0.25).progress == 0.25
        sleep(15 * BRIEFLY)
        assert queue.recover() == []
        found = queue.job(claim.job.id)
        assert found
        assert (found.status, found.progress) == ("running", 0.25)

    def test_a_poison_job_fails_after_its_attempts(self, queue: Queue) -> None:
        """However these ended, and the queue goes on."""
        poison, good = submitted(queue, 2)
        for number in range(self.attempts):
            assert queue.counts()["failed"] == 0
            assert lose_lease(queue, also_fail=number % 2 == 0).job.id == poison.id
        failed = queue.job(poison.id)
        assert failed
        assert failed.outcome
        assert failed.outcome.error
        assert (failed.status, failed.outcome.error["type"]) == ("failed", "attempts_exhausted")
        assert failed.attempts == self.attempts
        assert failed.finished is not None
        assert claimed(queue).job.id == good.id

    def test_a_job_that_is_given_back_unharmed_has_all_its_attempts(self, queue: Queue) -> None:
        """However often."""
        (job,) = submitted(queue, 1)
        for _ in range(self.attempts + 1):
            assert queue.release(claimed(queue), failed=False).status == "queued"
        found = queue.job(job.id)
        assert found
        assert (found.status, found.attempts) == ("queued", 0)

    def test_a_job_that_comes_back_is_before_younger_ones(self, queue: Queue) -> None:
        """Of its owner."""
        first, second = submitted(queue, 2)
        queue.release(claimed(queue), failed=True)
        assert claimed(queue).job.id == first.id
        assert claimed(queue).job.id == second.id

    def test_another_handle_sees_all_and_may_use_a_claim(
        self, queue: Queue, opening: Callable[[], Queue]
    ) -> None:
        """Nothing is kept in the process alone."""
        submitted(queue, 2)
        claim = claimed(queue)
        other = opening()
        try:
            assert other.job(claim.job.id) == queue.job(claim.job.id)
            done = other.finish(claim, Outcome("done", [artifact("x")]))
            assert queue.job(done.id) == done
            assert queue.events(done.id) == other.events(done.id)
        finally:
            other.close()

    def _is_refused(self, queue: Queue, claim: Claim, use: Callable[[Queue, Claim], Any]) -> None:
        before = queue.job(claim.job.id), queue.events(claim.job.id)
        with pytest.raises(LeaseLost):
            use(queue, claim)
        assert (queue.job(claim.job.id), queue.events(claim.job.id)) == before

    def test_a_job_to_be_stopped_is_not_run_again(self, queue: Queue) -> None:
        """When its worker is gone, or gives it back, it ends as cancelled."""
        jobs = submitted(queue, 2)
        lost, given = claimed(queue, BRIEFLY), claimed(queue)
        for job in jobs:
            queue.cancel(job.id)
        sleep(2 * BRIEFLY)
        queue.recover()
        queue.release(given, failed=True)
        assert [job.status for job in queue.jobs()] == ["cancelled", "cancelled"]
        assert lost.token != given.token


def lose_lease(queue: Queue, *, also_fail: bool = False) -> Claim:
    """Claim the next job, and have its lease run out, or `also_fail` it."""
    claim = claimed(queue, BRIEFLY)
    if also_fail:
        queue.release(claim, failed=True)
    else:
        sleep(2 * BRIEFLY)
        assert [job.id for job in queue.recover()] == [claim.job.id]
    return claim
