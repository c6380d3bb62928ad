"""Bytes that no job needs go; those that one names stay."""

import os
import threading
import time
from pathlib import Path

import pytest

from latentry_api.sweeping import DAY, Sweeper
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import KeptArtifact, Outcome, Queue, Submission
from latentry_store_sql import open_store

NOW = time.time()


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    store = open_store(tmp_path)
    assert isinstance(store, Queue)
    return store


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def old(blobs: Blobs, data: bytes) -> str:
    """Bytes that were kept two days ago."""
    digest = blobs.keep(data)
    os.utime(blobs.path(digest), (NOW - 2 * DAY, NOW - 2 * DAY))
    return digest


def test_old_bytes_of_no_job_go_and_others_stay(queue: Queue, blobs: Blobs) -> None:
    lone, given, made, new = old(blobs, b"lone"), old(blobs, b"in"), old(blobs, b"out"), blobs.keep(b"new")
    for _ in range(250):  # more than a page
        queue.submit(Submission({"task": "toy"}))
    queue.submit(Submission({"task": "toy", "inputs": {"image": given}}, priority=1))
    claim = queue.claim("test", 60)
    assert claim is not None
    queue.finish(claim, Outcome("done", [KeptArtifact("a-0", made, "image/png", 3, 1)]))
    assert Sweeper(queue, blobs).sweep(NOW - DAY) == 1
    assert set(blobs.digests()) == {given, made, new}
    assert lone not in set(blobs.digests())


def test_bytes_that_are_sent_again_stay(queue: Queue, blobs: Blobs) -> None:
    digest = old(blobs, b"sent twice")
    assert blobs.keep(b"sent twice") == digest
    assert Sweeper(queue, blobs).sweep(NOW - DAY) == 0
    assert blobs.read(digest) == b"sent twice"


def test_jobs_that_ended_long_ago_go_with_their_pictures_where_that_is_wanted(
    queue: Queue, blobs: Blobs
) -> None:
    made = old(blobs, b"out")
    job, waiting = (queue.submit(Submission({"task": "toy"})) for _ in range(2))
    claim = queue.claim("test", 60)
    assert claim is not None
    queue.finish(claim, Outcome("done", [KeptArtifact("a-0", made, "image/png", 3, 1)]))
    for days, kept in ((None, True), (1.0, True), (1e-9, False)):
        closed = threading.Event()
        closed.set()
        Sweeper(queue, blobs, days).run(closed)
        assert (queue.job(job.id) is not None) == kept
        assert set(blobs.digests()) == ({made} if kept else set())
    assert queue.job(waiting.id)
