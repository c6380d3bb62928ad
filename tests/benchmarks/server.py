"""Measure a whole server, and print a line for each promise of docs/server.md.

    python tests/benchmarks/server.py
    python tests/benchmarks/server.py --only polling --clients 1000

A server is started as people start it, with worker processes and the queue on this disk; what serves and
what asks share the machine's cores. Latencies are seen by the client. For the health check a job of the
embedded model keeps as many threads busy as there are cores. "throughput" compares the server with
`Host.run` over the same jobs of the embedded model, with the model warm in both.
"""

import argparse
import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from latentry_api.security.serving import open_files
from latentry_sdk import Host, Request
from latentry_sdk.testing.servers import served

TOY = {"task": "toy", "prompt": "a cross", "steps": 2, "seed": 1}
LONG = {**TOY, "steps": 1000, "batch": 64, "width": 8, "height": 8}
APPLE = {"task": "txt2img", "prompt": "a red apple", "steps": 20, "seed": 1}
BUSY = {**APPLE, "steps": 1000, "width": 64, "height": 64}


@contextmanager
def server(**variables: str) -> Iterator[httpx.Client]:
    """A client of a new server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", **variables) as started,
        httpx.Client(base_url=f"{started.url}/api/v1", timeout=120) as client,
    ):
        yield client


def post(client: httpx.Client, job: dict[str, Any], wait: float = 0) -> dict[str, Any]:
    """The job, handed in."""
    found: dict[str, Any] = client.post("/jobs", json=job, params={"wait": wait}).raise_for_status().json()
    return found


def until(client: httpx.Client, job: str, status: str) -> None:
    """Return when the job has the status."""
    while client.get(f"/jobs/{job}").json()["status"] != status:
        time.sleep(0.01)


def shown(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and largest, in milliseconds."""
    ordered = sorted(seconds)
    middle, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"median {middle * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms, most {ordered[-1] * 1e3:.1f} ms"


def timed(call: Callable[[], Any]) -> float:
    """The seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def health(_options: argparse.Namespace) -> str:
    """GET health/live at 50 requests a second while a job runs on all cores."""
    with server(OMP_NUM_THREADS=str(os.cpu_count())) as client:
        post(client, {**APPLE, "steps": 1}, wait=100)
        job = post(client, BUSY)["id"]
        until(client, job, "running")
        seconds, due = [], time.perf_counter()
        for _ in range(500):
            due += 0.02
            time.sleep(max(0.0, due - time.perf_counter()))
            seconds.append(timed(lambda: client.get("/health/live").raise_for_status()))
        client.delete(f"/jobs/{job}")
        return shown(seconds)


def first_event(_options: argparse.Namespace) -> str:
    """From sending a job to hearing that a warm worker has begun it."""
    with server() as client:
        post(client, TOY, wait=60)
        return shown([timed(lambda: _started(client)) for _ in range(50)])


def _started(client: httpx.Client) -> None:
    job = post(client, TOY)["id"]
    with client.stream("GET", f"/jobs/{job}/events") as events:
        for line in events.iter_lines():
            if line == "event: started":
                return


def cancelling(_options: argparse.Namespace) -> str:
    """DELETE of a queued job until it answers, and of a running one until the job has ended."""
    queued, running = [], []
    with server() as client:
        post(client, TOY, wait=60)
        for _ in range(10):
            first, second = post(client, LONG)["id"], post(client, TOY)["id"]
            until(client, first, "running")
            queued.append(timed(lambda job=second: client.delete(f"/jobs/{job}").raise_for_status()))
            running.append(timed(lambda job=first: _stopped(client, job)))
    return f"queued: {shown(queued)}; running: {shown(running)}"


def _stopped(client: httpx.Client, job: str) -> None:
    client.delete(f"/jobs/{job}").raise_for_status()
    status = client.get(f"/jobs/{job}", params={"wait": 30}).json()["status"]
    assert status == "cancelled", status


def polling(options: argparse.Namespace) -> str:
    """Many clients at one time, each asking for a job again as soon as it has the answer."""
    with server() as client:
        post(client, TOY, wait=60)
        jobs = [post(client, TOY)["id"] for _ in range(100)]
        return asyncio.run(_polling(client.base_url, jobs, options.clients))


async def _polling(url: httpx.URL, jobs: Sequence[str], clients: int) -> str:
    """Plain sockets: a thousand connections of an HTTP library cost more than the server."""
    seconds: list[float] = []
    open_files(clients + 256)

    async def poll(number: int) -> None:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        path = f"/api/v1/jobs/{jobs[number % len(jobs)]}"
        for _ in range(5):
            began = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(poll(number) for number in range(clients)))
    rate = len(seconds) / (time.perf_counter() - began)
    return f"{clients} clients, {len(seconds)} answers, {rate:.0f} a second, none refused: {shown(seconds)}"


def idle(options: argparse.Namespace) -> str:
    """Connections that have asked once and say nothing more, and the server's answers meanwhile."""
    open_files(options.idle + 256)
    with server() as client, ExitStack() as connections:
        address = (client.base_url.host, client.base_url.port)
        for _ in range(options.idle):
            connections.enter_context(socket.create_connection(address, timeout=30))
        seconds = [timed(lambda: client.get("/health/live").raise_for_status()) for _ in range(100)]
    return f"{options.idle} connections: {shown(seconds)}"


def throughput(_options: argparse.Namespace) -> str:
    """Seconds of ten jobs in this process over those on the server, in turns; more than 1 is faster."""
    jobs = [{**APPLE, "seed": seed} for seed in range(10)]
    with Host() as host, server() as client:
        host.run(Request.model_validate(APPLE))
        post(client, APPLE, wait=100)
        here, there = [], []
        for _ in range(9):
            here.append(timed(lambda: [host.run(Request.model_validate(job)) for job in jobs]))
            there.append(timed(lambda: [post(client, job) for job in jobs] and _all_done(client)))
    ratios = sorted(mine / theirs for mine, theirs in zip(here, there, strict=True))
    middle = ratios[len(ratios) // 2]
    return f"median {middle:.3f} of in process, from {ratios[0]:.3f} to {ratios[-1]:.3f}"


def _all_done(client: httpx.Client) -> None:
    newest = client.get("/jobs", params={"limit": 1}).json()["jobs"][0]["id"]
    client.get(f"/jobs/{newest}", params={"wait": 200}).raise_for_status()


MEASURES: dict[str, Callable[[argparse.Namespace], str]] = {
    "health": health,
    "first event": first_event,
    "cancelling": cancelling,
    "polling": polling,
    "idle": idle,
    "throughput": throughput,
}


def main() -> None:
    """Print each measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=MEASURES, action="append", help="One measure; may be given again")
    parser.add_argument("--clients", type=int, default=1000, help="Clients that poll")
    parser.add_argument("--idle", type=int, default=10_000, help="Connections that are idle")
    options = parser.parse_args()
    for name in options.only or MEASURES:
        print(f"{name}: {MEASURES[name](options)}", flush=True)


if __name__ == "__main__":
    main()
