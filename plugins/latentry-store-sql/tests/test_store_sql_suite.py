"""The suite notices queues that break the contract, each by the test that is about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from latentry_sdk.queue import Claim, KeptEvent, Outcome, QueuedJob, Submission
from latentry_sdk.testing import QueueSuite
from latentry_sdk.testing.queues_ends import DONE
from latentry_store_sql.opening import open_queue
from latentry_store_sql.queue import SqlQueue

NUMBERS = count()


class Unfair(SqlQueue):
    """Whoever sent most is served most: owners are not told apart."""

    def submit(self, submission: Submission) -> QueuedJob:
        owned = super().submit(replace(submission, owner="all"))
        return replace(owned, submission=submission)


class Racing(SqlQueue):
    """Gives a job that it saw waiting, whether or not another has it by now."""

    def claim(self, worker: str, seconds: float) -> Claim | None:
        waiting = self.jobs(statuses={"queued"}, limit=1000)
        claim = super().claim(worker, seconds) if waiting else None
        return claim or (Claim(waiting[-1], "token") if waiting else None)


class Trusting(SqlQueue):
    """Takes a result from whoever brings one."""

    def finish(self, claim: Claim, outcome: Outcome) -> QueuedJob:
        job = self.job(claim.job.id)
        assert job
        if job.status == "queued":
            again = self.claim("worker", 60)
            assert again
            claim = again
        return super().finish(claim, outcome)


class Patient(SqlQueue):
    """Waits for workers that never come back."""

    def recover(self) -> Sequence[QueuedJob]:
        return []


class Stubborn(SqlQueue):
    """Tries a poison job for ever."""

    def release(self, claim: Claim, *, failed: bool) -> QueuedJob:
        return super().release(claim, failed=False)


class Forgetful(SqlQueue):
    """Knows no keys."""

    def submit(self, submission: Submission) -> QueuedJob:
        key = submission.key and f"{submission.key} {next(NUMBERS)}"
        return super().submit(replace(submission, key=key))


class Skipping(SqlQueue):
    """Leaves out every other number of an event."""

    def append(self, claim: Claim, kind: str, data: Mapping[str, Any]) -> KeptEvent:
        super().append(claim, kind, data)
        return super().append(claim, kind, data)


class Careless(SqlQueue):
    """Keeps the first artifact only."""

    def finish(self, claim: Claim, outcome: Outcome) -> QueuedJob:
        return super().finish(claim, replace(outcome, artifacts=outcome.artifacts[:1]))


class Hoarding(SqlQueue):
    """Forgets nothing."""

    def forget(self, before: float) -> int:
        return 0


class Reckless(SqlQueue):
    """Forgets jobs whether or not they have ended."""

    def forget(self, before: float) -> int:
        for job in self.jobs():
            self.cancel(job.id)
        return super().forget(before)


class Boundless(SqlQueue):
    """Takes in whatever comes."""

    def submit(self, submission: Submission) -> QueuedJob:
        self._settings = self._settings.model_copy(update={"queue_limit": 10**9})
        return super().submit(submission)


Check = Callable[[SqlQueue], None]
SUITE = QueueSuite()
CAUGHT: dict[type[SqlQueue], Sequence[Check]] = {
    Unfair: [SUITE.test_owners_take_turns, SUITE.test_an_owner_who_comes_later_is_next],
    Racing: [SUITE.test_each_job_is_claimed_once_by_threads],
    Trusting: [partial(SUITE.test_a_lost_claim_is_good_for_nothing, use=lambda q, c: q.finish(c, DONE))],
    Patient: [
        SUITE.test_a_job_whose_lease_ran_out_comes_back,
        SUITE.test_a_job_that_waited_too_long_fails,
        SUITE.test_a_job_to_be_stopped_is_not_run_again,
    ],
    Stubborn: [SUITE.test_a_poison_job_fails_after_its_attempts],
    Forgetful: [SUITE.test_a_key_stands_for_one_job, SUITE.test_a_key_is_not_taken_for_another_request],
    Skipping: [
        SUITE.test_each_change_of_status_is_told,
        SUITE.test_events_are_numbered_without_gaps_when_several_threads_tell,
    ],
    Careless: [partial(SUITE.test_an_outcome_is_kept_whole, outcome=DONE)],
    Hoarding: [SUITE.test_jobs_that_ended_long_ago_are_forgotten],
    Reckless: [SUITE.test_jobs_that_ended_long_ago_are_forgotten],
    Boundless: [SUITE.test_no_more_than_the_limit_wait],
}
CASES = [(kind, check) for kind, checks in CAUGHT.items() for check in checks]


def name(case: object) -> str:
    return getattr(case, "__name__", None) or getattr(getattr(case, "func", None), "__name__", "")


@pytest.mark.parametrize(("kind", "check"), CASES, ids=name)
def test_a_wrong_queue_is_noticed(
    kind: type[SqlQueue], check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTRY_QUEUE_LIMIT", str(SUITE.limit))
    queue = open_queue(tmp_path)
    queue.__class__ = kind
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(queue)
    queue.close()
