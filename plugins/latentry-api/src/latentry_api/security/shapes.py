"""Bound the shape of a body while it is read, before a parser builds objects from it."""

import re
from email.message import Message
from typing import Protocol

from latentry_api.security.asgi import Scope, header
from latentry_api.security.options import SecurityOptions
from latentry_api.security.refusing import BodyTooComplex

OUTSIDE = re.compile(rb'["\[\]{},]')
INSIDE = re.compile(rb'["\\]')
OPENING, CLOSING = b"[{", b"]}"
JSON = re.compile(r"application/(?:[\w.-]+\+)?json")


class Shape(Protocol):
    """Looks at a body piece by piece; raises `BodyTooComplex`."""

    def feed(self, data: bytes) -> None:
        """Look at the next piece."""


class Nesting:
    """How deep JSON nests, and of how many quotes, commas and brackets it is made; strings are skipped.

    Parsers call themselves for each level, and make an object for each value, which takes many times the
    bytes of `[],[],[]`.
    """

    def __init__(self, depth: int, marks: int) -> None:
        self._depth, self._marks = depth, marks
        self._level = self._seen = 0
        self._inside = self._escaped = False

    def feed(self, data: bytes) -> None:
        """Look at the next piece, which may begin inside a string."""
        if b"\0" in data:
            raise BodyTooComplex("the body is no JSON in UTF-8")
        plain = b"\\" not in data
        at = 1 if self._escaped and data else 0
        self._escaped = self._escaped and not data
        while (at := self._find(data, at, plain=plain)) >= 0:
            mark = data[at : at + 1]
            self._take(mark)
            at += 1
            if mark == b"\\":
                self._escaped = at == len(data)
                at += 1

    def _find(self, data: bytes, at: int, *, plain: bool) -> int:
        """Where the next mark is, -1 for nowhere; the long way is only for pieces with a backslash."""
        if self._inside and plain:
            return data.find(b'"', at)
        found = (INSIDE if self._inside else OUTSIDE).search(data, at)
        return found.start() if found else -1

    def _take(self, mark: bytes) -> None:
        self._seen += 1
        if mark == b'"':
            self._inside = not self._inside
        elif mark in OPENING:
            self._level += 1
        elif mark in CLOSING:
            self._level -= 1
        if self._level > self._depth:
            raise BodyTooComplex(f"JSON may nest {self._depth} levels")
        if self._seen > self._marks:
            raise BodyTooComplex(f"JSON may have {self._marks} quotes, commas and brackets")


class Parts:
    """How many parts a multipart body has: how often its boundary begins a line."""

    def __init__(self, boundary: bytes, most: int) -> None:
        self._mark, self._most = b"\n--" + boundary, most
        self._seen, self._rest = 0, b"\n"

    def feed(self, data: bytes) -> None:
        """Look at the next piece, which may begin inside a boundary."""
        joined = self._rest + data
        self._seen += joined.count(self._mark)
        self._rest = joined[len(joined) - len(self._mark) + 1 :] if len(joined) >= len(self._mark) else joined
        if self._seen > self._most + 1:  # the last boundary ends the body
            raise BodyTooComplex(f"a body may have {self._most} parts")


class Plain:
    """Bytes that are kept as they are."""

    def feed(self, data: bytes) -> None:
        """Any piece will do."""


def shape(scope: Scope, options: SecurityOptions) -> Shape:
    """What watches a body of this media type; `BodyTooComplex` for a form without a boundary."""
    declared = Message()
    declared["content-type"] = header(scope, b"content-type") or ""
    media_type = declared.get_content_type()
    if JSON.fullmatch(media_type):
        return Nesting(options.json_depth, options.json_marks)
    if media_type != "multipart/form-data":
        return Plain()
    boundary = declared.get_boundary()
    if not boundary:
        raise BodyTooComplex("a multipart body needs a boundary")
    return Parts(boundary.encode("latin-1", "replace"), options.body_parts)
