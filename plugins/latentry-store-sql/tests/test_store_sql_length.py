"""What a queue does to a job costs the same, however many wait: counted in SQLite's instructions."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert

from latentry_sdk.queue import Claim, Outcome, Submission
from latentry_store_sql.accepting import _columns
from latentry_store_sql.opening import open_queue
from latentry_store_sql.queue import SqlQueue
from latentry_store_sql.tables import JOBS, LINES


@dataclass
class Counter:
    """The instructions that SQLite's virtual machine runs for a queue that one thread uses."""

    queue: SqlQueue
    count: int = 0

    def tick(self) -> int:
        self.count += 1
        return 0

    def of(self, work: Callable[[], object]) -> int:
        """How many instructions this takes."""
        with self.queue._database.reading() as connection:
            connection.connection.driver_connection.set_progress_handler(self.tick, 1)
        before = self.count
        work()
        return self.count - before


def fill(queue: SqlQueue, count: int, owners: int) -> None:
    """Rows as submissions make them, all at once."""
    jobs = [Submission({"n": number}, owner=f"owner {number % owners}") for number in range(count)]
    lines = [{"owner": f"owner {number}", "priority": 0, "turn": 0} for number in range(owners)]
    with queue._changes() as changes:
        changes.connection.execute(insert(JOBS), [_columns(job, changes.now) for job in jobs])
        changes.connection.execute(insert(LINES).values(waiting=count // owners), lines)


def costs(folder: Path, waiting: int, owners: int) -> dict[str, int]:
    """Instructions by what is done while so many wait."""
    folder.mkdir()
    queue, claims = open_queue(folder), list[Claim | None]()
    counter = Counter(queue)
    fill(queue, waiting, owners)
    late = Submission({"n": 0}, owner="late", key="k")
    found = {
        "submit": counter.of(lambda: queue.submit(late)),
        "submit again": counter.of(lambda: queue.submit(late)),
        "claim": max(counter.of(lambda: claims.append(queue.claim("worker", 60))) for _ in range(owners + 1)),
    }
    last = claims[-1]
    assert last
    assert last.job.submission.owner == "late"
    found["renew"] = counter.of(lambda: queue.renew(last, 60, 0.5))
    found["append"] = counter.of(lambda: queue.append(last, "step", {}))
    found["finish"] = counter.of(lambda: queue.finish(last, Outcome("done")))
    found["list"] = counter.of(lambda: queue.jobs(limit=10, statuses={"queued"}))
    found["cancel"] = counter.of(lambda: queue.cancel(queue.jobs(limit=2)[1].id))
    found["recover"] = counter.of(queue.recover)
    queue.close()
    return found


@pytest.mark.parametrize("owners", [1, 5])
def test_nothing_costs_more_where_ten_thousand_wait(tmp_path: Path, owners: int) -> None:
    few, many = costs(tmp_path / "few", 50, owners), costs(tmp_path / "many", 10_000, owners)
    assert min(few.values()) > 10
    assert {name: cost for name, cost in many.items() if cost > 1.5 * few[name]} == {}


def test_a_hundred_owners_cost_a_claim_no_more_than_ten(tmp_path: Path) -> None:
    few, many = costs(tmp_path / "few", 1_000, 10), costs(tmp_path / "many", 1_000, 100)
    assert many["claim"] < 1.5 * few["claim"]
