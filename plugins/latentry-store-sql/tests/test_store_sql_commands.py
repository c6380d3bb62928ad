"""`latentry jobs` beside a host that has the folder."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import latentry_store_sql
from latentry_sdk import Host
from latentry_sdk.queue import KeptArtifact, Outcome, QueueFull, Submission
from latentry_sdk.service import UnknownJob
from latentry_store_sql.commands import jobs
from latentry_store_sql.opening import open_queue
from latentry_store_sql.queue import SqlQueue

Run = Callable[..., Result]


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SqlQueue]:
    """The queue of the host, which has the folder's lock."""
    queue = open_queue(tmp_path)
    yield queue
    queue.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `latentry jobs` with these arguments; what it raises is in the result."""
    host = Host([latentry_store_sql])

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(jobs, [*arguments, "--data", str(tmp_path)], obj=host)

    return run


def submission(number: int = 0) -> Submission:
    return Submission({"task": "toy", "prompt": f"number {number}"}, owner="me", priority=number)


def test_jobs_are_listed(queue: SqlQueue, run: Run) -> None:
    ids = [queue.submit(submission(number)).id for number in range(3)]
    queue.cancel(ids[0])
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "TASK", "OWNER", "CREATED", "PROGRESS"]
    assert [line.split()[0] for line in lines[1:]] == ids[::-1]
    assert [line.split()[1] for line in lines[1:]] == ["queued", "queued", "cancelled"]
    assert [job["id"] for job in json.loads(run("list", "--json", "--limit", "2").stdout)] == ids[:0:-1]
    some = json.loads(run("list", "--json", "--status", "cancelled", "--status", "done").stdout)
    assert [(job["id"], job["owner"], job["priority"]) for job in some] == [(ids[0], "me", 0)]


def test_a_job_is_shown_with_its_attempts_and_its_end(queue: SqlQueue, run: Run) -> None:
    job = queue.submit(submission())
    for _ in range(2):
        claim = queue.claim("worker \x1b[31m", 60)
        assert claim
        queue.release(claim, failed=True)
    claim = queue.claim("last", 60)
    assert claim
    queue.finish(
        claim, Outcome("done", [KeptArtifact("a", "d" * 64, "image/png", 9, 7)], applied={"seed": 7})
    )
    shown = json.loads(run("show", job.id, "--json").stdout)
    assert [attempt["end"] for attempt in shown["attempts"]] == ["failed", "failed", "done"]
    assert (shown["status"], shown["applied"], shown["error"]) == ("done", {"seed": 7}, None)
    assert shown["artifacts"][0]["digest"] == "d" * 64
    text = run("show", job.id).stdout
    assert "attempt by last: " in text
    assert "artifact a: image/png, 9 bytes, seed 7" in text
    assert "\x1b" not in text


def test_a_failed_job_says_why(queue: SqlQueue, run: Run) -> None:
    job = queue.submit(submission())
    claim = queue.claim("worker", 60)
    assert claim
    queue.finish(claim, Outcome("failed", error={"type": "out_of_memory", "message": "it was too large"}))
    assert "error: out_of_memory: it was too large\n" in run("show", job.id).stdout


def test_jobs_are_cancelled_and_queued_again(queue: SqlQueue, run: Run) -> None:
    first, second = (queue.submit(submission(number)).id for number in (1, 0))
    claim = queue.claim("worker", 60)
    assert claim
    assert run("cancel", first).stdout == f"{first}  is being stopped\n"
    assert run("list").stdout.splitlines()[2].split()[:2] == [first, "stopping"]
    assert queue.renew(claim, 60, 0.5).cancelling
    assert run("cancel", second).stdout == f"{second}  cancelled\n"
    assert run("retry", second).stdout == f"{second}  queued\n"
    again = queue.claim("worker", 60)
    assert again
    assert again.job.id == second


def test_what_cannot_be_done_is_one_line(
    queue: SqlQueue, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("show", "cancel", "retry"):
        for name in ("nothing", "../x", "\ud800", "0" * 32):
            error = run(command, name).exception
            assert isinstance(error, UnknownJob)
            assert "\n" not in str(error)
    job = queue.submit(submission())
    queue.cancel(job.id)
    queue.submit(submission())
    monkeypatch.setenv("LATENTRY_QUEUE_LIMIT", "1")
    assert isinstance(run("retry", job.id).exception, QueueFull)
    for arguments in (("list", "--limit", "0"), ("list", "--status", "waiting"), ("show",), ("forget",)):
        assert run(*arguments).exit_code == 2


def test_a_folder_without_jobs_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    done = CliRunner().invoke(jobs, ["list", "--data", str(folder)], obj=Host([latentry_store_sql]))
    assert str(done.exception) == f"{folder} holds no jobs; name the server's folder with --data"
    assert not folder.exists()
