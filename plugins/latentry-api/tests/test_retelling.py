"""What the server refuses below a surface's prefix is told in the surface's words."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from latentry_api.problems import MEDIA_TYPE, problem
from latentry_api.retelling import Retelling
from latentry_sdk import SurfaceSpec
from latentry_sdk.service import MountedSurface


async def refused(_request: Request) -> Response:
    answer = problem(429, "too_many_requests", "that is too much", fix="wait")
    answer.headers["retry-after"] = "3"
    return answer


async def good(_request: Request) -> Response:
    return JSONResponse({"status": 200})


INSIDE = Starlette(
    routes=[
        Route("/other/refused", refused),
        Route("/own/refused", refused),
        Route("/own/good", good),
        Route("/ownership", refused),
    ]
)
SURFACES = [
    SurfaceSpec("plain", lambda host: None),
    MountedSurface("silent", mount=lambda service: None),
    MountedSurface(
        "own",
        mount=lambda service: None,
        prefixes=("/own",),
        refusal=lambda problem: {"no": problem["detail"], "then": problem["fix"], "at": problem["status"]},
    ),
]


def asked(path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer, as a server would send them."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    asyncio.run(Retelling(INSIDE, SURFACES)(scope, receive, send))  # type: ignore[arg-type]
    start, *bodies = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(message.get("body", b"") for message in bodies)


def test_a_refusal_below_the_prefix_is_told_anew_with_its_status_and_headers() -> None:
    status, headers, body = asked("/own/refused")
    assert (status, body) == (429, b'{"no": "that is too much", "then": "wait", "at": 429}')
    assert headers == {
        "retry-after": "3",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }


@pytest.mark.parametrize("path", ["/other/refused", "/ownership"])
def test_a_refusal_elsewhere_stays_a_problem(path: str) -> None:
    status, headers, body = asked(path)
    assert (status, headers["content-type"]) == (429, MEDIA_TYPE)
    assert b'"type"' in body


def test_a_good_answer_stays_as_it_is() -> None:
    assert asked("/own/good")[2] == b'{"status":200}'
