"""A surface that is wrong in the way that the environment says."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from latentry_sdk import hookimpl
from latentry_sdk.service import MountedSurface, Service


def mount(service: Service) -> Any:
    from fastapi import APIRouter, Request

    wrong = os.environ["WRONG"]
    router = APIRouter()

    @router.get("/wrong/here")
    def here() -> Mapping[str, str]:
        return {"here": str(1 // (wrong != "answers"))}

    @router.post("/wrong/bodies")
    async def bodies(request: Request) -> Mapping[str, str]:
        body = await request.body()
        return {"said": str(1 // len(body) if wrong == "garbage" else len(body))}

    if wrong == "stays":
        threading.Thread(target=time.sleep, args=(3600,)).start()
    if wrong == "raises":
        raise RuntimeError("it cannot be mounted")
    if wrong == "elsewhere":
        router.add_api_route("/aside", here)
    return router


def refusal(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    is_wrong = os.environ["WRONG"] == "refusal" and problem["type"] == "not-allowed"
    return {"error": object() if is_wrong else problem["detail"]}


SURFACE = MountedSurface("wrong", mount=mount, prefixes=("/wrong",), refusal=refusal)


@hookimpl
def register_surfaces() -> Sequence[MountedSurface]:
    return [SURFACE]
