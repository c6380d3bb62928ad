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


def test_a_port_that_is_taken_is_said_in_one_line(serve: Callable[..., Any], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "latentry",
            "serve",
            "--port",
            port,
            "--data",
            str(tmp_path / "data"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **TOY}, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"latentry: 127.0.0.1:{port} cannot be listened at: Address already in use; use another --port"
    ]


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
