"""Whole servers as processes: `latentry serve` with the real queue and workers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from latentry_sdk.testing.servers import Served, served

PATIENCE = 120.0
"""Seconds for an answer: a first job loads libraries, on a machine that does other things too."""


@dataclass(frozen=True)
class Started:
    """A server as its own process, and a client of its native API."""

    server: Served
    client: httpx.Client

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url

    @property
    def models(self) -> Path:
        """The folder of models that the fixture `server` gives it, beside its log."""
        return self.server.log.parent / "models"

    def jobs(self, **query: Any) -> list[dict[str, Any]]:
        """The newest jobs first, 200 at most."""
        found: list[dict[str, Any]] = self.get("/jobs", limit=200, **query)["jobs"]
        return found

    def get(self, path: str, **query: Any) -> Any:
        """What the native API says."""
        return self.client.get(f"/api/v1{path}", params=query).raise_for_status().json()


@contextmanager
def started(data: Path, *flags: str, token: str | None = None, **variables: str) -> Iterator[Started]:
    """A server with these flags and environment variables, and a client that shows the token."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with (
        served(data, *flags, **variables) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE, headers=headers) as client,
    ):
        yield Started(server, client)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start servers on this test's data folder, one after the other."""
    with ExitStack() as running:
        yield lambda *flags, **more: running.enter_context(started(tmp_path / "data", *flags, **more))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One server for all tests of a module, with the embedded model and a folder for others."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "models").mkdir()
    with started(folder / "data", LATENTRY_MODELS_DIR=str(folder / "models")) as server:
        yield server
