"""`latentry serve` as people start it: a process of its own, with worker processes."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow
TOY = {"LATENTRY_PLUGINS": "api,store-sql,workers,toy"}
JOB = {"task": "toy", "prompt": "a cross", "steps": 5, "seed": 3}
LONG = {**JOB, "steps": 1000, "batch": 64, "width": 8, "height": 8}

ENDLESS = {**LONG, "sampler": "toy_ancestral"}


def submitted(client: httpx.Client, job: dict[str, Any], wait: float = 0) -> dict[str, Any]:
    answer = client.post("/api/v1/jobs", json=job, params={"wait": wait})
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


def when(client: httpx.Client, job: str, status: str) -> dict[str, Any]:
    """The job when it has the status."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(f"/api/v1/jobs/{job}").json()
        if found["status"] == status:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_it_says_its_url_alone_and_takes_a_job_at_once(serve: Callable[..., Any], tmp_path: Path) -> None:
    started = serve(**TOY)
    assert started.client.get("/api/v1/health/ready").status_code == 200
    assert submitted(started.client, JOB, wait=20)["status"] == "done"
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert started.server.stop() == (0, "")


def test_stopping_lets_a_running_job_end_and_takes_no_new_one(serve: Callable[..., Any]) -> None:
    started = serve(**TOY)
    running = submitted(started.client, LONG)["id"]
    when(started.client, running, "running")
    said: list[Any] = []
    stopping = threading.Thread(target=lambda: said.append(started.server.stop()))
    stopping.start()
    refused = _first_refusal(started.client)
    assert refused["type"] == "urn:latentry:error:draining"
    stopping.join()
    assert said == [(0, "")]
    again = serve(**TOY)
    assert again.client.get(f"/api/v1/jobs/{running}").json()["status"] == "done"


def test_a_job_that_does_not_end_in_time_goes_back_and_is_not_counted(serve: Callable[..., Any]) -> None:
    started = serve("--drain-seconds", "0", **TOY)
    running = submitted(started.client, LONG)["id"]
    when(started.client, running, "running")
    assert started.server.stop()[0] == 0
    again = serve(**TOY)
    done = when(again.client, running, "done")
    assert done["attempts"] == 1


def test_a_second_signal_ends_the_wait(serve: Callable[..., Any]) -> None:
    started = serve("--drain-seconds", "600", **TOY)
    running = submitted(started.client, ENDLESS)["id"]
    when(started.client, running, "running")
    began = time.monotonic()
    started.server.process.send_signal(signal.SIGINT)
    _first_refusal(started.client)
    assert started.server.stop()[0] == 0
    assert time.monotonic() - began < 30


def test_a_killed_server_loses_no_job_and_makes_the_same_pictures(serve: Callable[..., Any]) -> None:
    started = serve(**TOY)
    jobs = [submitted(started.client, {**LONG, "batch": 8, "seed": seed})["id"] for seed in range(4)]
    first = when(started.client, jobs[0], "done")
    when(started.client, jobs[1], "running")
    started.server.kill()
    again = serve(**TOY)
    done = [when(again.client, job, "done") for job in jobs]
    assert done[0] == first
    assert done[1]["attempts"] == 2
    for seed, job in enumerate(done):
        anew = submitted(again.client, {**LONG, "batch": 8, "seed": seed}, wait=60)
        assert [one["sha256"] for one in job["artifacts"]] == [one["sha256"] for one in anew["artifacts"]]
        assert len({one["id"] for one in job["artifacts"]}) == 8


def refusal(*flags: str) -> str:
    """What a server that does not start says; it prints nothing and ends with 2."""
    command = [sys.executable, "-m", "latentry", "serve", *flags]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **TOY}, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_two_servers_do_not_share_a_folder(serve: Callable[..., Any], tmp_path: Path) -> None:
    serve(**TOY)
    assert str(tmp_path / "data") in refusal("--port", "0", "--data", str(tmp_path / "data"))


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = refusal("--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert "cannot be made: Not a directory" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--store", "memory"], "latentry: the store 'memory' keeps no queue; use the store sql"),
        (["--executor", "none"], "latentry: unknown executor 'none'; known: inline, toy-thread, workers"),
        (
            ["--port", "65536"],
            "latentry: serve: port: Input should be less than or equal to 65535 (got '65536')",
        ),
        (
            ["--drain-seconds", "nan"],
            "latentry: serve: drain_seconds: Input should be less than or equal to 86400 (got 'nan')",
        ),
    ],
)
def test_a_flag_that_makes_no_sense_is_said_in_one_line(flags: list[str], said: str, tmp_path: Path) -> None:
    assert refusal("--data", str(tmp_path / "data"), *flags) == said


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refusal("--port", port, "--data", str(tmp_path / "data"))
    where = f"127.0.0.1:{port}"
    assert said == f"latentry: {where} cannot be listened at: Address already in use; use another --port"


def test_logs_are_json_with_the_ids_of_jobs(serve: Callable[..., Any]) -> None:
    started = serve(**TOY)
    job = submitted(started.client, JOB, wait=20)["id"]
    started.server.stop()
    lines = [json.loads(line) for line in started.server.log.read_text().splitlines()]
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in lines)
    assert job in {line.get("job") for line in lines}


def _first_refusal(client: httpx.Client) -> dict[str, Any]:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        answer = client.post("/api/v1/jobs", json=JOB)
        if answer.status_code == 503:
            found: dict[str, Any] = answer.json()
            return found
    raise AssertionError("it still takes jobs")
