"""Whole servers as processes: `latentry serve` with the real queue and workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

STARTED = 120.0
"""Seconds until a server must have said its URL; it takes some, and machines do other things as well."""


@dataclass
class Served:
    """A server as its own process, and a client of its native API."""

    process: "subprocess.Popen[str]"
    url: str
    client: httpx.Client
    log: Path

    def jobs(self, **query: Any) -> list[dict[str, Any]]:
        """The newest jobs first, 200 at most."""
        found: list[dict[str, Any]] = self.get("/jobs", limit=200, **query)["jobs"]
        return found

    def get(self, path: str, **query: Any) -> Any:
        """What the native API says."""
        return self.client.get(f"/api/v1{path}", params=query).raise_for_status().json()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def served(data: Path, *flags: str, token: str | None = None, **variables: str) -> Iterator[Served]:
    """`latentry serve` on a free port, without the user's configuration; killed at the end."""
    command = [sys.executable, "-m", "latentry", "serve", "--port", "0", "--data", str(data), *flags]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
    environment = {**kept, "LATENTRY_CONFIG": str(data.with_suffix(".toml")), **variables}
    log = data.with_suffix(".log")
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http"), log.read_text()
        with httpx.Client(base_url=url, timeout=STARTED, headers=headers) as client:
            yield Served(process, url, client, log)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start servers on this test's data folder."""
    with ExitStack() as running:
        yield lambda *flags, **more: running.enter_context(served(tmp_path / "data", *flags, **more))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of a module, with the embedded model."""
    with served(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
