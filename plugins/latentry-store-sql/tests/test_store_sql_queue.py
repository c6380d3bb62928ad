"""The store is a queue and a store, and one host has a folder."""

from pathlib import Path

import pytest

import latentry_store_sql
from latentry_sdk import JobRecord, Request, Unavailable
from latentry_sdk.queue import Queue, Submission


def test_a_job_that_was_running_when_its_host_closed_waits_again(tmp_path: Path) -> None:
    queue = latentry_store_sql.open_store(tmp_path)
    assert isinstance(queue, Queue)
    job = queue.submit(Submission({"task": "toy"}))
    assert queue.claim("worker", 1000)
    queue.close()
    again = latentry_store_sql.open_store(tmp_path)
    assert isinstance(again, Queue)
    found = again.job(job.id)
    assert found
    assert (found.status, found.attempts) == ("queued", 1)
    again.close()


def test_a_second_host_is_told_who_has_the_folder(tmp_path: Path) -> None:
    first = latentry_store_sql.open_store(tmp_path)
    assert isinstance(first, Queue)
    with pytest.raises(Unavailable, match=r"is in use by process \d+ on "):
        latentry_store_sql.open_store(tmp_path)
    first.close()


def test_records_are_kept(tmp_path: Path) -> None:
    store = latentry_store_sql.open_store(tmp_path)
    record = JobRecord("a", Request(task="toy", seed=2**64 - 1))
    store.put(record)
    assert store.get("a") == record
    assert store.records() == (record,)
