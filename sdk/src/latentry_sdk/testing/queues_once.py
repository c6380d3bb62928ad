"""Tests of a queue: what must happen once, whoever does it at the same time."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from latentry_sdk.queue import KeyReused, LeaseLost, Outcome, Queue
from latentry_sdk.testing.queues_parts import (
    Opening,
    all_claims,
    artifact,
    at_once,
    claimed,
    submission,
    submitted,
)


class Once:
    """Threads and processes share a queue without harm."""

    def test_each_job_is_claimed_once_by_threads(self, queue: Queue) -> None:
        """That share a handle."""
        for owner in "abc":
            submitted(queue, 10, owner=owner)
        taken = at_once(6, lambda _number: [claim.job.id for claim in all_claims(queue)])
        assert_each_once(queue, taken)

    def test_each_job_is_claimed_once_by_handles(self, queue: Queue, opening: Opening) -> None:
        """That threads have for themselves."""
        submitted(queue, 30)
        taken = at_once(4, lambda _number: claim_all(opening))
        assert_each_once(queue, taken)

    def test_each_job_is_claimed_once_by_processes(self, queue: Queue, opening: Opening) -> None:
        """That claim and finish while this one submits."""
        submitted(queue, 20)
        with ProcessPoolExecutor(2, get_context("spawn")) as processes:
            taken = [processes.submit(claim_all, opening) for _ in range(2)]
            submitted(queue, 10)
            finished = [one.result() for one in taken]
        finished.append([claim.job.id for claim in all_claims(queue)])
        assert_each_once(queue, finished)

    def test_a_result_is_visible_once(self, queue: Queue) -> None:
        """However many try to finish with the same claim."""
        submitted(queue, 1)
        claim = claimed(queue)

        def finish(number: int) -> int | None:
            try:
                queue.finish(claim, Outcome("done", (artifact("by", number),)))
            except LeaseLost:
                return None
            return number

        winners = [number for number in at_once(6, finish) if number is not None]
        assert len(winners) == 1
        job = queue.job(claim.job.id)
        assert job
        assert job.outcome
        assert [*job.outcome.artifacts] == [artifact("by", winners[0])]
        assert [event.kind for event in queue.events(job.id)].count("done") == 1

    def test_a_key_stands_for_one_job(self, queue: Queue) -> None:
        """Of its owner, whatever has become of the job."""
        job = queue.submit(submission(1, owner="a", key="k"))
        assert queue.submit(submission(1, owner="a", key="k")) == job
        done = queue.finish(claimed(queue), Outcome("done"))
        assert queue.submit(submission(1, owner="a", key="k")) == done
        assert queue.submit(submission(1, owner="b", key="k")).id != job.id
        assert queue.submit(submission(1, owner="a", key="other")).id != job.id
        assert queue.submit(submission(1, owner="a")).id != queue.submit(submission(1, owner="a")).id

    def test_a_key_is_not_taken_for_another_request(self, queue: Queue) -> None:
        """Which is refused."""
        queue.submit(submission(1, key="k"))
        with pytest.raises(KeyReused):
            queue.submit(submission(2, key="k"))
        assert len(queue.jobs()) == 1

    def test_a_fingerprint_tells_whether_requests_are_the_same(self, queue: Queue) -> None:
        """Where there is one: the seed may have been drawn anew."""
        job = queue.submit(submission(1, key="k", fingerprint="f"))
        assert queue.submit(submission(2, key="k", fingerprint="f")) == job
        with pytest.raises(KeyReused):
            queue.submit(submission(1, key="k", fingerprint="g"))

    def test_a_key_stands_for_one_job_when_it_is_sent_many_times_at_once(self, queue: Queue) -> None:
        """As clients do that try again."""
        jobs = at_once(6, lambda _number: queue.submit(submission(1, owner="a", key="k")).id)
        assert len(set(jobs)) == 1
        assert len(queue.jobs()) == 1

    def test_a_job_is_either_cancelled_or_claimed(self, queue: Queue) -> None:
        """When both are tried at once."""
        ids = [job.id for job in submitted(queue, 20)]

        def work(number: int) -> list[str]:
            if number:
                return [claim.job.id for claim in all_claims(queue)]
            return [job for job in ids if (found := queue.cancel(job)) and found.status == "cancelled"]

        cancelled, *taken = at_once(3, work)
        assert_each_once(queue, [cancelled, *taken])


def claim_all(opening: Opening) -> list[str]:
    """The ids of all jobs that a handle of its own claims."""
    queue = opening()
    try:
        return [claim.job.id for claim in all_claims(queue)]
    finally:
        queue.close()


def assert_each_once(queue: Queue, taken: list[list[str]]) -> None:
    """All jobs were taken, none of them twice."""
    found = sorted(job for ids in taken for job in ids)
    assert found == sorted(job.id for job in queue.jobs(limit=1000))
