"""What a surface must do: start, answer whoever asks whatever, and close."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as Asked
from urllib.request import urlopen

import pytest

from latentry_sdk import Config, Host, SurfaceSpec
from latentry_sdk.service import MountedSurface
from latentry_sdk.testing.imports import HEAVY, heavy_imports
from latentry_sdk.testing.servers import Served, served

PROBLEM = {"status": 401, "type": "not-allowed", "detail": "no token", "fix": "send one"}
GARBAGE = (b"", b"{", b"[]", b'{"no-such-field": 1}', b"\xff\x00\xfe")
Routes = Mapping[str, Mapping[str, Any]]
"""What is answered, by path and method in lower case."""

SERVE = "from latentry_sdk import Host\nwith Host() as host: host.serve({name!r})"


class SurfaceSuite:
    """Subclass this and override the fixture `spec`.

    A mounted surface is tried in a server of its own, so latentry-api must be installed, and the surface too;
    `variables` are added to that server's environment. Any other is served in a process without input.
    """

    seconds: float = 30.0
    heavy: frozenset[str] = HEAVY
    variables: Mapping[str, str] = {}

    @pytest.fixture
    def spec(self) -> SurfaceSpec:
        """The surface under test."""
        raise NotImplementedError("override the fixture `spec`")

    @pytest.fixture
    def mounted(self, spec: SurfaceSpec) -> MountedSurface:
        """The surface, where it is one that servers mount."""
        if not isinstance(spec, MountedSurface):
            pytest.skip("no server mounts it")
        return spec

    @pytest.fixture
    def routes(self, mounted: MountedSurface) -> Routes:
        """What it answers; skips where it cannot be mounted, which another test tells."""
        try:
            return routes_of(mounted)
        except Exception as exc:
            pytest.skip(f"it cannot be mounted: {exc}")

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
        """A server that mounts it, in a process of its own."""
        if find_spec("latentry_api") is None:
            pytest.skip("latentry-api is not installed")
        with served(tmp_path_factory.mktemp("server") / "data", **cls.variables) as server:
            yield server

    def test_its_module_imports_nothing_heavy(self, spec: SurfaceSpec) -> None:
        """It is loaded wherever plugins are."""
        call: Any = spec.mount if isinstance(spec, MountedSurface) else spec.serve
        assert not heavy_imports(f"import {call.__module__}", self.heavy)

    def test_its_routes_lie_below_its_prefixes(self, mounted: MountedSurface) -> None:
        """So that what a server refuses below them is told its way, and no other surface's path is taken."""
        found = routes_of(mounted)
        assert found
        outside = [path for path in found if not path.startswith(mounted.prefixes or ("/",))]
        assert not outside, f"outside of its prefixes: {outside}"

    def test_refusals_are_json(self, mounted: MountedSurface) -> None:
        """What the server refuses by itself, told in the surface's own way."""
        for problem in (PROBLEM, {name: PROBLEM[name] for name in ("status", "type", "detail")}):
            assert json.loads(json.dumps(mounted.refusal(problem)))

    def test_it_answers(self, routes: Routes, server: Served) -> None:
        """Whoever asks for a path without parameters; no answer is a fault of the server."""
        for path in [path for path, methods in routes.items() if "get" in methods and "{" not in path]:
            assert status(f"{server.url}{path}") < 500, path

    def test_it_refuses_garbage(self, routes: Routes, server: Served) -> None:
        """Bodies that are empty, broken, or of another kind are the sender's mistake."""
        for path in [path for path, methods in routes.items() if "post" in methods]:
            for body in GARBAGE:
                found = status(f"{server.url}{path.replace('{', '').replace('}', '')}", body)
                assert found < 500, f"{path}: {found} for {body!r}"

    def test_a_server_with_it_stops(self, mounted: MountedSurface, server: Served) -> None:  # noqa: ARG002
        """When it is asked to, in time."""
        code, _ = server.stop(self.seconds)
        assert code == 0

    def test_it_is_served_and_closed(self, spec: SurfaceSpec) -> None:
        """Without input it ends, or goes on until it is asked to stop; it says nothing of an error."""
        if isinstance(spec, MountedSurface):
            pytest.skip("a server mounts it")
        with ExitStack() as closing:
            process = subprocess.Popen(
                [sys.executable, "-c", SERVE.format(name=spec.name)], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            closing.callback(process.kill)
            try:
                _, said = process.communicate(timeout=self.seconds / 2)
            except subprocess.TimeoutExpired:
                process.terminate()
                _, said = process.communicate(timeout=self.seconds)
            assert "Traceback" not in said, said[-2000:]


def routes_of(mounted: MountedSurface) -> Routes:
    """The paths that it gives to a server, as the server's document has them."""
    from fastapi import FastAPI

    app = FastAPI()
    with Host(plugins=[], config=Config()) as host:
        service: Any = SimpleNamespace(host=host)
        app.include_router(mounted.mount(service))
    paths: Routes = app.openapi()["paths"]
    return paths


def status(url: str, body: bytes | None = None) -> int:
    """The status of an answer."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        with urlopen(Asked(url, body, headers), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as exc:
        return exc.code
