"""Tests of a queue: how jobs end, what is kept of it, and what is told meanwhile."""

import time
from itertools import pairwise

import pytest

from latentry_sdk.queue import Outcome, Queue, Submission
from latentry_sdk.testing.queues_parts import FOREVER, artifact, at_once, claimed, submitted

FAILED = Outcome("failed", error={"type": "invalid_input", "message": "no", "fix": None}, warnings=("w",))
DONE = Outcome(
    "done",
    (artifact("x", 0), artifact("x", 1)),
    applied={"seed": 2**64 - 1, "size": [8, 8], "deep": {"a": None}},
    timings={"load": 0.1 + 0.2},
    warnings=("first", "second 🦊"),
)


class Ends:
    """A job ends once, with all of its outcome."""

    @pytest.mark.parametrize("outcome", [DONE, FAILED, Outcome("cancelled")], ids=lambda one: one.status)
    def test_an_outcome_is_kept_whole(self, queue: Queue, outcome: Outcome) -> None:
        """Artifacts in their order, the largest seeds, and every digit."""
        submitted(queue, 1)
        job = queue.finish(claimed(queue), outcome)
        assert job == queue.job(job.id)
        assert job.finished is not None
        assert job.status == outcome.status
        assert same(job.outcome, outcome)
        assert [same(one.outcome, outcome) for one in queue.jobs()] == [True]

    def test_a_job_ends_as_something_that_ends(self, queue: Queue) -> None:
        """And stays claimed otherwise."""
        submitted(queue, 1)
        claim = claimed(queue)
        with pytest.raises(ValueError, match="running"):
            queue.finish(claim, Outcome("running"))
        queue.finish(claim, Outcome("done"))

    def test_artifacts_of_several_jobs_do_not_mix(self, queue: Queue) -> None:
        """Each has its own."""
        for number in range(3):
            submitted(queue, 1)
            queue.finish(claimed(queue), Outcome("done", (artifact("job", number),)))
        made = [job.outcome.artifacts[0].id for job in queue.jobs() if job.outcome]
        assert made == ["job-2", "job-1", "job-0"]

    def test_a_waiting_job_that_is_cancelled_has_ended(self, queue: Queue) -> None:
        """It is not claimed; being cancelled again changes nothing."""
        (job,) = submitted(queue, 1)
        cancelled = queue.cancel(job.id)
        assert cancelled
        assert (cancelled.status, cancelled.outcome) == ("cancelled", Outcome("cancelled"))
        assert cancelled.finished is not None
        assert queue.cancel(job.id) == cancelled
        assert queue.claim("worker", FOREVER) is None

    def test_a_running_job_that_is_cancelled_learns_of_it(self, queue: Queue) -> None:
        """When it renews its lease."""
        submitted(queue, 1)
        claim = claimed(queue)
        marked = queue.cancel(claim.job.id)
        assert marked
        assert (marked.status, marked.cancelling) == ("running", True)
        assert queue.cancel(claim.job.id) == marked
        assert queue.renew(claim, FOREVER, 0.5).cancelling
        assert queue.finish(claim, Outcome("cancelled")).status == "cancelled"

    def test_a_job_that_has_ended_is_left_by_cancel(self, queue: Queue) -> None:
        """The result stays."""
        submitted(queue, 1)
        done = queue.finish(claimed(queue), DONE)
        assert queue.cancel(done.id) == done

    @pytest.mark.parametrize("outcome", [FAILED, Outcome("cancelled")], ids=lambda one: one.status)
    def test_a_job_without_a_result_can_be_queued_again(self, queue: Queue, outcome: Outcome) -> None:
        """With all its attempts, at its old place."""
        first, _ = submitted(queue, 2)
        queue.cancel(first.id) if outcome.status == "cancelled" else queue.finish(claimed(queue), outcome)
        again = queue.retry(first.id)
        assert again
        assert (again.status, again.attempts, again.cancelling) == ("queued", 0, False)
        assert (again.started, again.finished, again.outcome) == (None, None, None)
        claim = claimed(queue)
        assert claim.job.id == first.id
        assert same(queue.finish(claim, DONE).outcome, DONE)

    def test_a_job_that_waits_runs_or_is_done_is_left_by_retry(self, queue: Queue) -> None:
        """Nothing is run twice that was not asked for twice."""
        waiting, running, done = (job.id for job in submitted(queue, 3)[::-1])
        queue.finish(claimed(queue), DONE)
        claimed(queue)
        before = [queue.job(job) for job in (waiting, running, done)]
        assert [queue.retry(job) for job in (waiting, running, done)] == before

    def test_a_version_grows_with_each_change(self, queue: Queue) -> None:
        """And with nothing else."""
        (job,) = submitted(queue, 1)
        claim = claimed(queue)
        versions = [job.version, claim.job.version, queue.renew(claim, FOREVER, 0.5).version]
        queue.append(claim, "step", {})
        marked = queue.cancel(job.id)
        assert marked
        versions += [marked.version, queue.finish(claim, FAILED).version]
        again = queue.retry(job.id)
        assert again
        versions.append(again.version)
        assert all(early < late for early, late in pairwise(versions))
        assert queue.job(job.id) == again

    def test_jobs_that_ended_long_ago_are_forgotten(self, queue: Queue) -> None:
        """With their events and artifacts; what waits or runs stays, and a key can be used again."""
        old = [queue.submit(Submission({"task": "toy"}, key=str(number))) for number in range(2)]
        queue.finish(claimed(queue), DONE)
        queue.cancel(old[1].id)
        submitted(queue, 2)
        claim = claimed(queue)
        assert queue.forget(old[0].created) == 0
        assert queue.forget(time.time() + FOREVER) == 2
        assert [queue.job(job.id) for job in old] == [None, None]
        assert [list(queue.events(job.id)) for job in old] == [[], []]
        assert {job.status for job in queue.jobs()} == {"queued", "running"}
        assert queue.submit(Submission({"task": "toy"}, key="0")).id != old[0].id
        queue.finish(claim, DONE)

    def test_each_change_of_status_is_told(self, queue: Queue) -> None:
        """With the artifacts or the error at the end."""
        (job,) = submitted(queue, 1)
        queue.release(claimed(queue), failed=True)
        claim = claimed(queue)
        queue.append(claim, "step", {"step": 1, "of": [2, None]})
        queue.cancel(job.id)
        queue.finish(claim, FAILED)
        queue.retry(job.id)
        queue.finish(claimed(queue), DONE)
        events = queue.events(job.id)
        kinds = "queued running queued running step cancelling failed queued running done"
        assert [event.kind for event in events] == kinds.split()
        assert [event.number for event in events] == list(range(1, 11))
        assert {event.job for event in events} == {job.id}
        assert all(early.at <= late.at for early, late in pairwise(events))
        assert events[4].data == {"step": 1, "of": [2, None]}
        assert events[6].data["error"] == FAILED.error
        assert events[9].data["artifacts"] == [artifact.id for artifact in DONE.artifacts]
        assert queue.events(job.id, after=8) == events[8:]
        assert list(queue.events(job.id, after=10)) == []

    def test_a_time_out_and_a_last_attempt_are_told_as_well(self, queue: Queue) -> None:
        """Whoever ends a job, its last event says how."""
        jobs = submitted(queue, 2)
        queue.cancel(jobs[1].id)
        while (claim := queue.claim("worker", FOREVER)) is not None:
            queue.release(claim, failed=True)
        last = [queue.events(job.id)[-1] for job in jobs]
        assert [event.kind for event in last] == ["failed", "cancelled"]
        assert last[0].data["error"]["type"] == "attempts_exhausted"

    def test_events_are_numbered_without_gaps_when_several_threads_tell(self, queue: Queue) -> None:
        """Each number once."""
        submitted(queue, 1)
        claim = claimed(queue)

        def tell(number: int) -> list[int]:
            return [queue.append(claim, "step", {"thread": number}).number for _ in range(10)]

        numbers = sorted(number for told in at_once(4, tell) for number in told)
        assert numbers == list(range(3, 43))
        assert [event.number for event in queue.events(claim.job.id)] == list(range(1, 43))


def same(left: Outcome | None, right: Outcome) -> bool:
    """Whether both say the same; sequences may be lists or tuples."""
    parts = [
        (one.status, [*one.artifacts], dict(one.applied), dict(one.timings), [*one.warnings], one.error)
        for one in (left or Outcome("queued"), right)
    ]
    return parts[0] == parts[1]
