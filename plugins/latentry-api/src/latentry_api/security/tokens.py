"""Tokens that callers show: kept as hashes in a file that only its owner may write.

A token is 256 random bits, so nobody finds it by trying, and one round of SHA-256 hides it as well as
any slow hash: those are for passwords, which people choose and others guess.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from latentry_sdk import InvalidRequest, Options, UnknownName, parsed, write_whole
from latentry_sdk.service import Caller, Scope

log = logging.getLogger(__name__)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PREFIX = "latentry_"
"""Starts every token, so that programs which search for leaked secrets can know one."""


def token_name(name: str) -> str:
    """The name, if tokens can have it; raises `ValueError`."""
    if not NAME.fullmatch(name):
        raise ValueError("a token's name has 1 to 64 letters, digits, dots, dashes and underscores")
    return name


class Token(Options):
    """What is kept of a token: `hash` is the SHA-256 of its text in hexadecimal."""

    name: Annotated[str, AfterValidator(token_name)]
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: frozenset[Scope] = Field(min_length=1)


TOKENS = TypeAdapter(tuple[Token, ...], config=ConfigDict(defer_build=True))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file; `InvalidRequest` where it is none, or where others may write it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read()
        if os.name == "posix" and mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise InvalidRequest(f"others may write the token file {path}", fix=f"run chmod 600 {path}")
        return TOKENS.validate_json(data)
    except FileNotFoundError as exc:
        raise InvalidRequest(
            f"there is no token file {path}", fix="write it with `latentry token add`"
        ) from exc
    except (OSError, ValidationError) as exc:
        raise InvalidRequest(f"the token file {path} cannot be read: {type(exc).__name__}") from exc


def add_token(path: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Add a new token to the file, which is made if it is not there; the token, which is kept nowhere."""
    tokens = read_tokens(path) if path.exists() else ()
    if name in {token.name for token in tokens}:
        raise InvalidRequest(
            f"there is a token {name!a} already", fix="remove it first, or choose another name"
        )
    text = PREFIX + secrets.token_urlsafe(32)
    kept = {"name": name, "hash": hashed(text), "scopes": frozenset(scopes)}
    _write(path, (*tokens, parsed(Token, kept, where="token: ")))
    return text


def remove_token(path: Path, name: str) -> None:
    """Take a token out of the file; `UnknownName` where it is not there."""
    tokens = read_tokens(path)
    kept = tuple(token for token in tokens if token.name != name)
    if len(kept) == len(tokens):
        raise UnknownName("token", name, [token.name for token in tokens])
    _write(path, kept)


def hashed(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _write(path: Path, tokens: Sequence[Token]) -> None:
    entries = [token.model_dump(mode="json") for token in tokens]
    with _private_files():
        write_whole(path, (json.dumps(entries, indent=1) + "\n").encode(), overwrite=True)


@contextmanager
def _private_files() -> Iterator[None]:
    """Files made in here are the owner's alone, from their first byte; for a process of one thread."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class TokenFile:
    """The tokens of a file as it is now: a changed file is read again at the next question.

    A file that cannot be read lets nobody in, so that a token which was taken out stays out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._tokens = read_tokens(path)

    def caller(self, token: str) -> Caller | None:
        """Who shows this token; each kept hash is compared, in a time that tells nothing about it."""
        shown, found = hashed(token), None
        for kept in self._now():
            if hmac.compare_digest(kept.hash, shown):
                found = Caller(kept.name, kept.scopes)
        return found

    def _now(self) -> tuple[Token, ...]:
        with self._lock:
            signature = self._signature()
            if signature != self._seen:
                self._seen, self._tokens = signature, self._read()
            return self._tokens

    def _read(self) -> tuple[Token, ...]:
        try:
            return read_tokens(self._path)
        except InvalidRequest as exc:
            log.error("nobody is let in: %s", exc)
            return ()

    def _signature(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode
