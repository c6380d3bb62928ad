"""Bodies within budgets of bytes, time and shape, counted while they are read."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentry_api.security.options import SecurityOptions
from latentry_api.security.refusing import BodyTooComplex
from latentry_api.security.shapes import Nesting, Parts, shape

JSON = "application/json"


class Pieces:
    """A body in pieces of 100 kB that remembers how many were read; endless without a number."""

    def __init__(self, number: int | None = None, *, pause: float = 0.0, size: int = 100_000) -> None:
        self.number, self.pause, self.size, self.read = number, pause, size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.number is None or self.read < self.number:
            self.read += 1
            await asyncio.sleep(self.pause)
            yield b" " * self.size


def test_a_body_that_says_it_is_too_large_is_not_read(asking: Any) -> None:
    pieces = Pieces(20)
    ask = asking(body_megabytes=1)
    found = asyncio.run(ask("POST", content=pieces, content_type=JSON, content_length="2000000"))
    assert (found.status, found.type, pieces.read) == (413, "body_too_large", 0)


def test_a_body_that_does_not_say_is_counted_while_it_is_read(asking: Any) -> None:
    pieces = Pieces()
    found = asyncio.run(asking(body_megabytes=1)("POST", content=pieces, content_type=JSON))
    assert (found.status, found.type) == (413, "body_too_large")
    assert pieces.read == 11


def test_a_body_at_the_limit_is_taken(asking: Any) -> None:
    found = asyncio.run(asking(body_megabytes=1)("POST", content=Pieces(10), content_type=JSON))
    assert found.json["size"] == 1_000_000


def test_all_bodies_together_have_a_limit_and_give_it_back(asking: Any) -> None:
    async def go() -> None:
        ask = asking(body_megabytes=1, bodies_megabytes=2.5)
        slow = [ask("POST", content=Pieces(10, pause=0.01), content_type=JSON) for _ in range(4)]
        found = await asyncio.gather(*slow)
        statuses = sorted(each.status for each in found)
        assert statuses[0] == 200
        assert statuses[-1] == 503
        refused = next(each for each in found if each.status == 503)
        assert (refused.type, refused.headers["retry-after"]) == ("server_busy", "1")
        for _ in range(5):
            assert (await ask("POST", content=Pieces(10), content_type=JSON)).status == 200

    asyncio.run(go())


def test_a_small_body_is_taken_while_others_hold_as_much_as_there_is_room_for(asking: Any) -> None:
    async def go() -> None:
        ask = asking(body_megabytes=1, bodies_megabytes=1)
        holding = asyncio.create_task(ask("POST", "/wait-after", content=Pieces(10), content_type=JSON))
        await asyncio.sleep(0.2)
        small, large = b"{}", b" " * 100_000
        assert (await ask("POST", content=small, content_type=JSON)).status == 200
        assert (await ask("POST", content=large, content_type=JSON)).status == 503
        assert (await holding).status == 200
        assert (await ask("POST", content=large, content_type=JSON)).status == 200

    asyncio.run(go())


def test_a_body_that_stands_still_is_given_up(asking: Any) -> None:
    ask = asking(body_seconds=0.2)
    found = asyncio.run(ask("POST", content=Pieces(3, pause=5), content_type=JSON))
    assert (found.status, found.type, found.headers["connection"]) == (408, "body_too_slow", "close")


def test_a_body_that_drips_is_given_up(asking: Any) -> None:
    pieces = Pieces(pause=0.01, size=1)
    found = asyncio.run(asking(body_seconds=0.3, body_rate=1000)("POST", content=pieces, content_type=JSON))
    assert (found.status, found.type) == (408, "body_too_slow")
    assert pieces.read < 60


def test_a_body_that_comes_slowly_but_at_the_rate_is_taken(asking: Any) -> None:
    pieces = Pieces(30, pause=0.02, size=100)
    found = asyncio.run(asking(body_seconds=0.3, body_rate=1000)("POST", content=pieces, content_type=JSON))
    assert found.json["size"] == 3000


def test_an_application_that_takes_its_time_with_a_whole_body_is_left_to_it(asking: Any) -> None:
    async def waits_for_the_client_to_go(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.5)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert asyncio.run(asking(waits_for_the_client_to_go, body_seconds=0.1)()).status == 204


def test_an_error_of_the_application_is_not_hidden(asking: Any) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        asyncio.run(asking(broken)("POST", content=b"{}", content_type=JSON))


DEEP = ["[" * 33, '{"a":' * 33, "[" * 100_000, '[{"a":' * 17, '"]]]]",' * 2 + "[" * 33]


@pytest.mark.parametrize("body", DEEP, ids=range(len(DEEP)))
def test_json_that_nests_too_deep_is_refused_before_it_is_parsed(asking: Any, body: str) -> None:
    found = asyncio.run(asking()("POST", content=body.encode(), content_type=JSON))
    assert (found.status, found.type) == (400, "body_too_complex")


@pytest.mark.parametrize(
    "body", ["[" + "[]," * 100_000, '["' + '","' * 200_000, "[" + "1," * 300_000, '"' + r"\n" * 300_000]
)
def test_json_of_too_many_values_is_refused(asking: Any, body: str) -> None:
    found = asyncio.run(asking()("POST", content=body.encode(), content_type=JSON))
    assert (found.status, found.type) == (400, "body_too_complex")


FINE = [
    "[" * 32 + "]" * 32,
    json.dumps({"prompt": "[" * 100_000}),
    json.dumps({"prompt": '\\"[{' * 20_000}),
    json.dumps({"images": ["iVBORw0KGgo=" * 10] * 10_000}),
    json.dumps({"image": "A" * 30_000_000}),
]


@pytest.mark.parametrize("body", FINE, ids=range(len(FINE)))
def test_json_that_is_only_large_or_has_brackets_in_texts_is_taken(asking: Any, body: str) -> None:
    found = asyncio.run(asking()("POST", content=body.encode(), content_type=JSON))
    assert found.json["size"] == len(body)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_json_in_another_encoding_is_refused(asking: Any, encoding: str) -> None:
    found = asyncio.run(asking()("POST", content='{"a": 1}'.encode(encoding), content_type=JSON))
    assert (found.status, found.type) == (400, "body_too_complex")


def _depth(value: Any) -> int:
    inner: Sequence[Any] = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, dict | list) else 0


def _feed(watched: Any, pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        watched.feed(piece)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.characters(codec="utf-8")) | st.text('[]{}",\\'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a[{"\\', max_size=4), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(VALUES, st.integers(1, 7), st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_depth_is_the_one_that_a_parser_finds_however_the_body_is_cut(
    value: Any, cut: int, plain: bool
) -> None:
    data, depth = json.dumps(value, ensure_ascii=plain).encode(), _depth(value)
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    _feed(Nesting(depth, 10**6), pieces)
    if depth:
        with pytest.raises(BodyTooComplex):
            _feed(Nesting(depth - 1, 10**6), pieces)


def _form(parts: int, boundary: str = "b") -> bytes:
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    return (part * parts + f"--{boundary}--\r\n").encode()


@pytest.mark.parametrize(("parts", "status"), [(64, 200), (65, 400), (100_000, 400)])
def test_the_parts_of_a_form_are_counted(asking: Any, parts: int, status: int) -> None:
    found = asyncio.run(
        asking()("POST", content=_form(parts), content_type='multipart/form-data; boundary="b"')
    )
    assert found.status == status
    assert status == 200 or found.type == "body_too_complex"


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 7, 100])
def test_parts_are_counted_however_the_body_is_cut(cut: int) -> None:
    data = _form(9)
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    _feed(Parts(b"b", 9), pieces)
    with pytest.raises(BodyTooComplex):
        _feed(Parts(b"b", 8), pieces)


@pytest.mark.parametrize(
    "media_type", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x=y"]
)
def test_a_form_without_a_boundary_is_refused(asking: Any, media_type: str) -> None:
    found = asyncio.run(asking()("POST", content=_form(1), content_type=media_type))
    assert (found.status, found.type) == (400, "body_too_complex")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_a_content_type_says_is_read_or_refused(text: str) -> None:
    scope = {"headers": [(b"content-type", f"multipart/form-data; {text}".encode("latin-1"))]}
    try:
        shape(scope, SecurityOptions()).feed(b"--x\r\n")
    except BodyTooComplex:
        return
