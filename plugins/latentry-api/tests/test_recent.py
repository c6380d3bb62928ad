"""A thousand who ask for one job cost one read, and nobody sees what is over."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from latentry_api.recent import Recent
from latentry_api.service import JobService
from latentry_sdk.queue import Queue, QueuedJob, Submission
from latentry_sdk.service import Caller, UnknownJob
from latentry_store_sql import open_store

JOB = {"task": "toy", "prompt": "a cross", "steps": 2, "seed": 3}


class Counted:
    """Reads of a real queue, counted, and a count of changes that a test moves."""

    def __init__(self, folder: Path) -> None:
        store = open_store(folder)
        assert isinstance(store, Queue)
        self.queue, self.reads, self.changes = store, 0, 0
        self.id = store.submit(Submission({"task": "toy"})).id

    def read(self, job: str) -> QueuedJob | None:
        self.reads += 1
        return self.queue.job(job)


def test_one_read_serves_many_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentry_api.recent.SECONDS", 1000.0)
    counted = Counted(tmp_path)
    recent = Recent(lambda: counted.changes)
    for _ in range(1000):
        assert recent.read(counted.id, counted.read) == counted.queue.job(counted.id)
    assert counted.reads == 1
    counted.queue.cancel(counted.id)
    counted.changes += 1
    found = recent.read(counted.id, counted.read)
    assert found is not None
    assert (found.status, counted.reads) == ("cancelled", 2)


def test_what_another_host_changed_is_seen_after_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentry_api.recent.SECONDS", 0.0)
    counted = Counted(tmp_path)
    recent = Recent(lambda: counted.changes)
    recent.read(counted.id, counted.read)
    counted.queue.cancel(counted.id)
    found = recent.read(counted.id, counted.read)
    assert found is not None
    assert found.status == "cancelled"


def test_a_job_that_is_not_there_is_asked_for_each_time(tmp_path: Path) -> None:
    counted = Counted(tmp_path)
    recent = Recent(lambda: counted.changes)
    for _ in range(3):
        assert recent.read("f" * 32, counted.read) is None
    assert counted.reads == 3


def test_who_may_not_see_a_job_does_not_see_it_because_another_did(
    service: JobService, client: httpx.Client
) -> None:
    job: dict[str, Any] = client.post("/api/v1/jobs", json=JOB, params={"wait": 20}).json()
    everyone = Caller()
    assert service.job(job["id"], everyone).status == "done"
    assert service.recent(job["id"], everyone) is not None
    with pytest.raises(UnknownJob):
        service.recent(job["id"], Caller("other", frozenset({"read"})))


def test_a_client_sees_its_own_change_at_once(client: httpx.Client) -> None:
    slow = {**JOB, "steps": 1000, "batch": 64, "width": 8, "height": 8}
    first, second = (client.post("/api/v1/jobs", json=slow).json()["id"] for _ in range(2))
    assert client.get(f"/api/v1/jobs/{second}").json()["status"] == "queued"
    assert client.delete(f"/api/v1/jobs/{second}").json()["status"] == "cancelled"
    assert client.get(f"/api/v1/jobs/{second}").json()["status"] == "cancelled"
    assert client.post(f"/api/v1/jobs/{second}/retry").json()["status"] == "queued"
    assert client.get(f"/api/v1/jobs/{second}").json()["status"] == "queued"
    for job in (second, first):
        client.delete(f"/api/v1/jobs/{job}")
    assert client.get(f"/api/v1/jobs/{first}", params={"wait": 20}).json()["status"] in ("cancelled", "done")
