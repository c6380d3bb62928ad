"""Tests of a queue: what waits, and who is next."""

from time import sleep
from typing import Any

import pytest

from latentry_sdk import UserError
from latentry_sdk.queue import Outcome, Queue, QueueFull, Submission, Timeouts
from latentry_sdk.testing.queues_parts import BRIEFLY, all_claims, at_once, claimed, submission, submitted

ODD_REQUESTS: tuple[dict[str, Any], ...] = (
    {"task": "toy", "seed": 2**64 - 1, "guidance": 0.1 + 0.2, "options": {"a": {"b": [None, True, 1e-300]}}},
    {"task": "toy", "prompt": "naïve 🦊 \x00 \ud800 \r\n ' \" \\ %s {} ;--"},
    {"task": "toy", "prompt": "x" * 1_000_000},
)


class Lines:
    """Jobs wait in lines, which take turns."""

    limit: int

    def test_a_submitted_job_waits(self, queue: Queue) -> None:
        """With all that was asked, and is found by its id."""
        asked = submission(1, owner="a", priority=2, key="k", timeouts=Timeouts(60, 70.5, 80))
        job = queue.submit(asked)
        assert job.submission == asked
        assert (job.status, job.attempts, job.progress, job.cancelling) == ("queued", 0, 0.0, False)
        assert (job.started, job.finished, job.outcome) == (None, None, None)
        assert queue.job(job.id) == job

    @pytest.mark.parametrize("request_", ODD_REQUESTS, ids=("numbers", "letters", "length"))
    def test_a_request_comes_back_as_it_was_sent(self, queue: Queue, request_: dict[str, Any]) -> None:
        """Whatever JSON can say."""
        assert claimed_request(queue, request_) == request_

    @pytest.mark.parametrize(
        "name", ["", "0", "f" * 32, "\0", "\ud800", "'", "🦊" * 100, "../x", "x" * 10_000]
    )
    def test_an_unknown_job_is_none(self, queue: Queue, name: str) -> None:
        """For every question and wish."""
        assert queue.job(name) is None
        assert queue.cancel(name) is None
        assert queue.retry(name) is None
        assert list(queue.events(name)) == []

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
    def test_a_time_out_is_a_number_above_zero(self, queue: Queue, seconds: float) -> None:
        """Anything else is refused when it is submitted."""
        for timeouts in (Timeouts(queue=seconds), Timeouts(load=seconds), Timeouts(run=seconds)):
            with pytest.raises(UserError):
                queue.submit(submission(timeouts=timeouts))
        assert not queue.jobs()

    @pytest.mark.parametrize("text", ["a\0b", "\ud800", "x\ny", "x" * 100_000])
    def test_an_owner_and_a_key_are_short_lines(self, queue: Queue, text: str) -> None:
        """Anything else is refused when it is submitted."""
        for asked in (submission(owner=text), submission(key=text)):
            with pytest.raises(UserError):
                queue.submit(asked)

    def test_jobs_are_listed_newest_first_and_page_by_page(self, queue: Queue) -> None:
        """By status and owner where these are named."""
        ids = [job.id for job in submitted(queue, 7, owner="a")]
        mine = queue.submit(submission(owner="b")).id
        first = queue.jobs(limit=3)
        assert [job.id for job in first] == [mine, ids[6], ids[5]]
        assert [job.id for job in queue.jobs(before=first[-1].id)] == ids[4::-1]
        assert [job.id for job in queue.jobs(owner="b")] == [mine]
        queue.cancel(ids[2])
        assert [job.id for job in queue.jobs(statuses={"cancelled"}, owner="a")] == [ids[2]]
        assert not queue.jobs(before="no such job")

    def test_the_oldest_is_next(self, queue: Queue) -> None:
        """Where nothing else decides."""
        ids = [job.id for job in submitted(queue, 5)]
        assert [claim.job.id for claim in all_claims(queue)] == ids

    def test_a_higher_priority_is_sooner(self, queue: Queue) -> None:
        """Whoever asked, and however late."""
        for priority in (0, -3, 5, 0, 5):
            queue.submit(submission(priority=priority, owner=f"owner {priority % 2}"))
        assert [claim.job.submission.priority for claim in all_claims(queue)] == [5, 5, 0, 0, -3]

    def test_owners_take_turns(self, queue: Queue) -> None:
        """However many jobs one of them sent first."""
        for owner, count in (("a", 6), ("b", 2), ("c", 3)):
            submitted(queue, count, owner=owner)
        owners = [claim.job.submission.owner for claim in all_claims(queue)]
        assert sorted(owners[:3]) == sorted(owners[3:6]) == ["a", "b", "c"]
        assert sorted(owners[6:8]) == ["a", "c"]
        assert owners[8:] == ["a", "a", "a"]

    def test_an_owner_who_comes_later_is_next(self, queue: Queue) -> None:
        """And again after a pause: what was had before a pause is no debt, nor is waiting a right to more."""
        submitted(queue, 8, owner="a")
        claimed(queue)
        for _ in range(2):
            claimed(queue)
            queue.submit(submission(owner="b"))
            assert claimed(queue).job.submission.owner == "b"
        submitted(queue, 2, owner="b")
        assert claimed(queue).job.submission.owner == "a"

    def test_no_more_than_the_limit_wait(self, queue: Queue) -> None:
        """Until one is taken; whoever is refused learns when to come again."""
        submitted(queue, self.limit - 1)
        kept = queue.submit(submission(key="k"))
        with pytest.raises(QueueFull) as refused:
            queue.submit(submission())
        assert 0 < refused.value.seconds < 3600
        assert queue.submit(submission(key="k")).id == kept.id
        claimed(queue)
        queue.submit(submission())

    def test_no_more_than_the_limit_wait_when_many_submit_at_once(self, queue: Queue) -> None:
        """Each thread is told truly whether it was taken in."""
        submitted(queue, self.limit - 2)

        def submit(number: int) -> bool:
            try:
                queue.submit(submission(number))
            except QueueFull:
                return False
            return True

        assert sum(at_once(6, submit)) == 2
        assert queue.counts()["queued"] == self.limit

    def test_a_job_that_waited_too_long_fails(self, queue: Queue) -> None:
        """It is given to no one, and `recover` says why."""
        late = queue.submit(submission(timeouts=Timeouts(queue=BRIEFLY)))
        good = queue.submit(submission(timeouts=Timeouts(queue=3600)))
        sleep(2 * BRIEFLY)
        assert [claim.job.id for claim in all_claims(queue)] == [good.id]
        assert [job.id for job in queue.recover()] == [late.id]
        found = queue.job(late.id)
        assert found
        assert found.outcome
        assert found.outcome.error
        assert (found.status, found.outcome.error["type"]) == ("failed", "queue_timeout")
        assert queue.recover() == []

    def test_counts_are_of_each_status(self, queue: Queue) -> None:
        """Zeros too."""
        assert set(queue.counts().values()) == {0}
        submitted(queue, 5)
        queue.finish(claimed(queue), Outcome("done"))
        queue.finish(claimed(queue), Outcome("failed", error={"type": "x"}))
        claimed(queue)
        queue.cancel(queue.jobs(limit=1)[0].id)
        assert queue.counts() == {"queued": 1, "running": 1, "done": 1, "failed": 1, "cancelled": 1}


def claimed_request(queue: Queue, request: dict[str, Any]) -> Any:
    """A request after it was submitted and claimed."""
    queue.submit(Submission(request))
    return claimed(queue).job.submission.request
