"""The WebSocket: progress of several jobs over one connection."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

JOB = {"task": "toy", "prompt": "a cross", "steps": 5, "seed": 3}


@pytest.fixture
def socket(client: httpx.Client) -> Iterator[ClientConnection]:
    """A connection."""
    with connect(str(client.base_url).replace("http", "ws") + "/api/v1/socket") as connection:
        yield connection


def said(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=10))


def test_two_jobs_are_watched_until_they_end(client: httpx.Client, socket: ClientConnection) -> None:
    jobs = {client.post("/api/v1/jobs", json={**JOB, "seed": seed}).json()["id"] for seed in (1, 2)}
    for job in jobs:
        socket.send(json.dumps({"job": job}))
    ended = set()
    while ended != jobs:
        message = said(socket)
        assert message["job"] in jobs
        if message["kind"] == "done":
            ended.add(message["job"])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"job": 5}', '{"job": "x", "more": 1}', '{"job": "' + "x" * 99 + '"}']
)
def test_what_is_no_message_is_said_so(socket: ClientConnection, text: str) -> None:
    socket.send(text)
    assert said(socket)["error"]["type"] == "invalid_request"


def test_a_job_that_is_not_there_is_said_so(socket: ClientConnection) -> None:
    socket.send(json.dumps({"job": "f" * 32}))
    assert said(socket)["error"]["type"] == "unknown_job"
