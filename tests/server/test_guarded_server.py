"""Tokens, scopes, https and the audit log of a whole server, started as people start it."""

import json
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from latentry_sdk.testing.servers import Served, served

TOY = {"LATENTRY_PLUGINS": "api,api-a1111,api-openai,store-sql,workers,toy"}
GOOD: Mapping[str, Any] = {"task": "toy", "prompt": "cross", "steps": 2, "seed": 1}
TOKENS = {"read": ["read"], "generate": ["generate"], "both": ["read", "generate"], "admin": ["admin"]}


def _latentry(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "latentry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=None)


def _refused(*flags: str) -> str:
    """The one line by which the command refuses to start."""
    done = _latentry("serve", "--port", "0", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_another_address_is_refused_without_tokens(tmp_path: Path) -> None:
    assert "--token-file" in _refused("--host", "0.0.0.0", "--data", str(tmp_path))


def test_a_token_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = _refused("--token-file", str(tmp_path / "none"), "--data", str(tmp_path))
    assert "latentry token add" in said


def test_a_certificate_and_a_key_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made = trustme.CA().issue_cert("localhost")
        made.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        made.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    flags = ["--tls-certificate", str(tmp_path / "a.pem"), "--data", str(tmp_path)]
    assert "tls" in _refused(*flags)
    assert "certificate" in _refused(*flags, "--tls-key", str(tmp_path / "b.key"))
    assert "certificate" in _refused(*flags, "--tls-key", str(tmp_path / "none.key"))


class Guarded:
    """A server that asks for tokens, and some tokens by their names."""

    def __init__(self, server: Served, tokens: Mapping[str, str]) -> None:
        self.server, self.tokens = server, tokens

    def ask(self, who: str | None, method: str, path: str, **named: Any) -> httpx.Response:
        """An answer to the holder of a token, or to nobody."""
        headers = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return httpx.request(method, f"{self.server.url}{path}", headers=headers, timeout=60, **named)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server at every address, with tokens made by the command."""
    folder = tmp_path_factory.mktemp("guarded")
    file, tokens = folder / "tokens.json", {}
    for name, scopes in TOKENS.items():
        flags = [flag for scope in scopes for flag in ("--scope", scope)]
        made = _latentry("token", "add", name, *flags, "--file", str(file))
        assert made.returncode == 0, made.stderr
        tokens[name] = made.stdout.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    flags = ["--host", "0.0.0.0", "--token-file", str(file)]
    with served(folder / "data", *flags, **TOY) as server:
        yield Guarded(Served(server.process, server.url.replace("0.0.0.0", "127.0.0.1"), server.log), tokens)


ROUTES = [
    ("GET", "/api/v1/health/live", {}, {None: 200, "read": 200, "generate": 200}),
    ("GET", "/api/v1/jobs", {}, {None: 401, "read": 200, "generate": 403, "admin": 200}),
    ("GET", "/api/v1/tasks", {}, {None: 401, "read": 200, "admin": 200}),
    ("GET", "/api/v1/metrics", {}, {None: 401, "read": 200, "generate": 403, "admin": 200}),
    ("POST", "/api/v1/jobs", {"json": dict(GOOD)}, {None: 401, "read": 403, "generate": 202, "admin": 202}),
    ("DELETE", "/api/v1/jobs/none", {}, {None: 401, "read": 403}),
    ("POST", "/api/v1/jobs/none/retry", {}, {None: 401, "read": 403}),
    ("GET", "/sdapi/v1/samplers", {}, {None: 401, "read": 200}),
    ("POST", "/sdapi/v1/txt2img", {"json": {"prompt": "cross"}}, {None: 401, "read": 403}),
    ("POST", "/sdapi/v1/interrupt", {}, {None: 401, "read": 403}),
    ("GET", "/v1/models", {}, {None: 401, "read": 200}),
    ("POST", "/v1/images/generations", {"json": {"prompt": "cross"}}, {None: 401, "read": 403}),
    ("GET", "/openapi.json", {}, {None: 401, "read": 200}),
    ("GET", "/nothing", {}, {None: 401, "read": 404}),
]


@pytest.mark.parametrize(("method", "path", "named", "expected"), ROUTES, ids=lambda value: str(value)[:40])
def test_each_scope_does_what_it_may(
    guarded: Guarded, method: str, path: str, named: Any, expected: Mapping[str | None, int]
) -> None:
    found = {who: guarded.ask(who, method, path, **named).status_code for who in expected}
    assert found == expected


def test_a_job_is_its_owners_and_the_administrators(guarded: Guarded) -> None:
    job = guarded.ask("both", "POST", "/api/v1/jobs", json=dict(GOOD), params={"wait": 30}).json()
    assert guarded.ask("both", "GET", f"/api/v1/jobs/{job['id']}").status_code == 200
    assert guarded.ask("read", "GET", f"/api/v1/jobs/{job['id']}").status_code == 404
    seen = guarded.ask("admin", "GET", f"/api/v1/jobs/{job['id']}").json()
    assert guarded.ask("read", "GET", f"/api/v1/artifacts/{seen['artifacts'][0]['id']}").status_code == 404
    assert guarded.ask("admin", "GET", f"/api/v1/artifacts/{seen['artifacts'][0]['id']}").status_code == 200


WAITING = {
    "/api/v1/jobs?wait=30": GOOD,
    "/sdapi/v1/txt2img": {"prompt": "cross"},
    "/v1/images/generations": {"prompt": "cross"},
}


@pytest.mark.parametrize("path", WAITING)
def test_who_may_not_read_is_told_so_before_a_job_is_taken(guarded: Guarded, path: str) -> None:
    before = guarded.ask("admin", "GET", "/api/v1/jobs").json()
    found = guarded.ask("generate", "POST", path, json=dict(WAITING[path]))
    assert found.status_code == 403
    assert guarded.ask("admin", "GET", "/api/v1/jobs").json()["jobs"][:1] == before["jobs"][:1]


def test_clients_that_know_only_basic_are_let_in(guarded: Guarded) -> None:
    where = f"{guarded.server.url}/sdapi/v1/samplers"
    assert httpx.get(where, auth=("anyone", guarded.tokens["read"])).status_code == 200
    assert httpx.get(where, auth=("anyone", "wrong")).status_code == 401


def test_a_picture_is_served_as_what_it_is_and_nothing_else(guarded: Guarded) -> None:
    job = guarded.ask("admin", "POST", "/api/v1/jobs", json=dict(GOOD), params={"wait": 30}).json()
    found = guarded.ask("admin", "GET", f"/api/v1/artifacts/{job['artifacts'][0]['id']}")
    assert found.headers["content-type"] == "image/x-portable-graymap"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "private" in found.headers["cache-control"]


def _audit(server: Served) -> list[Any]:
    lines = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]
    return [line["audit"] for line in lines if line["logger"] == "latentry.audit"]


def _logged(server: Served, method: str, path: str) -> Any:
    """The last line about such a request; it may be written after the client has its answer."""
    end = monotonic() + 10
    while monotonic() < end:
        for line in reversed(_audit(server)):
            if (line["method"], line["path"]) == (method, path):
                return line
        sleep(0.05)
    raise AssertionError(f"{method} {path} is not in the log")


def test_the_log_says_who_did_what_and_holds_neither_prompts_nor_tokens(guarded: Guarded) -> None:
    fields = {**GOOD, "prompt": "blank"}
    job = guarded.ask("admin", "POST", "/api/v1/jobs", json=fields, params={"wait": 30}).json()
    guarded.ask(None, "DELETE", f"/api/v1/jobs/{job['id']}")
    asked = _logged(guarded.server, "POST", "/api/v1/jobs")
    assert (asked["who"], asked["jobs"], asked["status"]) == ("admin", [job["id"]], 200)
    assert asked["bytes_in"] > 0 < asked["bytes_out"]
    refused = _logged(guarded.server, "DELETE", f"/api/v1/jobs/{job['id']}")
    assert (refused["who"], refused["status"]) == (None, 401)
    log = guarded.server.log.read_text(encoding="utf-8")
    assert "blank" not in log
    assert not any(token in log for token in guarded.tokens.values())


def test_a_token_that_is_taken_away_ends_at_once(guarded: Guarded) -> None:
    file = str(guarded.server.log.parent / "tokens.json")
    made = _latentry("token", "add", "guest", "--file", file).stdout.strip()
    guest = Guarded(guarded.server, {"guest": made})
    assert guest.ask("guest", "GET", "/api/v1/jobs").status_code == 200
    assert _latentry("token", "remove", "guest", "--file", file).returncode == 0
    assert guest.ask("guest", "GET", "/api/v1/jobs").status_code == 401


def test_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    flags = ["--tls-certificate", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key")]
    flags += ["--log-prompts"]
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with served(tmp_path / "data", *flags, **TOY) as server:
        assert server.url.startswith("https://127.0.0.1:")
        _speaks_only_tls(server)
        with httpx.Client(base_url=server.url, verify=trusting, timeout=60) as client:
            found = client.post("/api/v1/jobs", json=dict(GOOD), params={"wait": 30})
            assert found.json()["status"] == "done"
            own, foreign = server.url, server.url.replace("https", "http")
            assert client.post("/api/v1/jobs", json=dict(GOOD), headers={"origin": own}).status_code == 202
            assert (
                client.post("/api/v1/jobs", json=dict(GOOD), headers={"origin": foreign}).status_code == 403
            )
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/api/v1/jobs")
        assert _audit(server)[0]["prompts"] == ["cross"]


def _speaks_only_tls(server: Served) -> None:
    """Plain HTTP, an old version and noise get no answer in plain text."""
    where = urlsplit(server.url)
    for begun in (b"GET /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", bytes(100), b"\x16\x03\x00"):
        with closing(socket.create_connection((where.hostname, where.port), timeout=5)) as sock:  # type: ignore[arg-type]
            sock.sendall(begun)
            sock.shutdown(socket.SHUT_WR)
            try:
                assert b"HTTP/" not in sock.recv(65536)
            except ConnectionError:
                pass
