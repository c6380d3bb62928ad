"""Tokens: kept as hashes, asked for, taken back, and their failures counted."""

import asyncio
import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from latentry_api.security.commands import token
from latentry_api.security.options import SecurityOptions, check_address
from latentry_api.security.tokens import TokenFile, add_token, hashed, read_tokens, remove_token
from latentry_sdk import InvalidRequest, UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def _basic(password: str, user: str = "user") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_token_is_256_random_bits_and_only_its_hash_is_kept(file: Path) -> None:
    first, second = add_token(file, "a", ["read"]), add_token(file, "b", ["admin"])
    assert first != second
    assert len(base64.urlsafe_b64decode(first.removeprefix("latentry_") + "=")) == 32
    kept = file.read_text()
    assert first not in kept
    assert second.removeprefix("latentry_") not in kept
    assert json.loads(kept)[0] == {"name": "a", "hash": hashed(first), "scopes": ["read"]}


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_token_file_is_its_owners_alone(file: Path) -> None:
    before = os.umask(0)
    try:
        add_token(file, "a", ["read"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o644)
        add_token(file, "b", ["read"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    file.chmod(0o620)
    with pytest.raises(InvalidRequest, match="others may write"):
        read_tokens(file)


def test_who_shows_a_token_is_known_by_bearer_and_by_basic(asking: Any, file: Path) -> None:
    secret = add_token(file, "artist", ["read", "generate"])
    ask = asking(token_file=file)
    for shown in (
        f"Bearer {secret}",
        f"bearer  {secret}",
        _basic(secret),
        _basic(secret, ""),
        _basic(secret, "x" * 99),
    ):
        found = asyncio.run(ask(authorization=shown))
        assert found.json == {"caller": "artist", "scopes": ["generate", "read"], "size": 0}


WRONG = [None, "", "Bearer", "Bearer wrong", "Basic", "Basic !!!", "Basic //4=", _basic("wrong"), _basic(""),
         "Digest abc", "Bearer " + "x" * 8000]  # fmt: skip


@pytest.mark.parametrize("shown", WRONG)
def test_who_shows_none_or_a_wrong_one_is_asked_for_it(asking: Any, file: Path, shown: str | None) -> None:
    secret = add_token(file, "a", ["read"])
    headers = {} if shown is None else {"authorization": shown}
    found = asyncio.run(asking(token_file=file)("POST", **headers))
    assert (found.status, found.type) == (401, "not_authenticated")
    assert "Bearer" in found.headers["www-authenticate"]
    assert "Basic" in found.headers["www-authenticate"]
    assert secret not in found.body.decode()


def test_the_hash_itself_lets_nobody_in(asking: Any, file: Path) -> None:
    secret = add_token(file, "a", ["read"])
    ask = asking(token_file=file)
    for shown in (
        hashed(secret),
        secret[:-1],
        secret + "x",
        secret.upper(),
        secret.removeprefix("latentry_"),
    ):
        assert asyncio.run(ask(authorization=f"Bearer {shown}")).status == 401


def test_health_is_told_to_all_without_any_scope(asking: Any, file: Path) -> None:
    add_token(file, "a", ["read"])
    ask = asking(token_file=file)
    found = asyncio.run(ask(path="/api/v1/health/live"))
    assert found.json == {"caller": "", "scopes": [], "size": 0}
    assert asyncio.run(ask(path="/api/v1/health/live/../jobs")).status == 401


def test_without_a_token_file_all_may_do_all_and_a_token_is_ignored(asking: Any) -> None:
    found = asyncio.run(asking()(authorization="Bearer anything"))
    assert found.json["scopes"] == ["admin", "generate", "read"]


def test_a_changed_file_counts_at_once(file: Path) -> None:
    first = add_token(file, "a", ["read"])
    tokens = TokenFile(file)
    assert tokens.caller(first) is not None
    second = add_token(file, "b", ["read"])
    assert tokens.caller(second) is not None
    remove_token(file, "a")
    assert tokens.caller(first) is None
    assert tokens.caller(second) is not None


@pytest.mark.parametrize("damage", [b"", b"[", b'[{"name": "a"}]', b"\xff", None])
def test_a_file_that_cannot_be_read_lets_nobody_in(file: Path, damage: bytes | None) -> None:
    secret = add_token(file, "a", ["read"])
    tokens = TokenFile(file)
    file.unlink() if damage is None else file.write_bytes(damage)
    assert tokens.caller(secret) is None
    with pytest.raises(InvalidRequest):
        TokenFile(file)


def test_wrong_tokens_are_counted_by_address(asking: Any, file: Path) -> None:
    secret = add_token(file, "a", ["read"])
    ask = asking(token_file=file, failures_per_minute=3)

    async def go() -> None:
        statuses = [(await ask(authorization="Bearer no", client="2001:db8::1")).status for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        last = await ask(authorization="Bearer no", client="2001:db8::2")
        assert last.status == 429, "a machine has its network of 64 bits as a whole"
        assert 1 <= int(last.headers["retry-after"]) <= 120
        assert (await ask(authorization="Bearer no", client="2001:db8:0:1::1")).status == 401
        assert (await ask(authorization=f"Bearer {secret}", client="2001:db8::1")).status == 200

    asyncio.run(go())


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(token, list(arguments), standalone_mode=False)


def test_the_commands_make_list_and_remove_tokens(file: Path) -> None:
    made = _run("add", "phone", "--scope", "read", "--file", str(file))
    assert made.exception is None
    caller = TokenFile(file).caller(made.output.strip())
    assert caller is not None
    assert (caller.name, caller.scopes) == ("phone", {"read"})
    _run("add", "desk", "-f", str(file))
    assert _run("list", "-f", str(file)).output == "phone  read\ndesk  generate,read\n"
    _run("remove", "phone", "-f", str(file))
    assert _run("list", "-f", str(file)).output == "desk  generate,read\n"


MISTAKES = [
    ("add", "desk"),
    ("add", ""),
    ("add", "../x"),
    ("add", "a\nb"),
    ("add", "x" * 65),
    ("add", "new", "--scope", "write"),
    ("remove", "nobody"),
]


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_said_in_one_line_and_changes_nothing(file: Path, arguments: tuple[str, ...]) -> None:
    _run("add", "desk", "-f", str(file))
    before = file.read_bytes()
    failed = _run(*arguments, "-f", str(file)).exception
    assert isinstance(failed, UserError | click.ClickException)
    assert "\n" not in str(failed)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.7", "gpu.lan", "127.0.0.1.example", "localhost.example"]
)
def test_an_address_that_others_reach_needs_tokens(host: str, file: Path) -> None:
    with pytest.raises(InvalidRequest, match="token"):
        check_address(SecurityOptions(host=host))
    check_address(SecurityOptions(host=host, token_file=file))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_an_address_of_this_machine_alone_needs_none(host: str) -> None:
    check_address(SecurityOptions(host=host))
