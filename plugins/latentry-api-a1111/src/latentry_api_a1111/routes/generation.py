"""txt2img and img2img."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from latentry_api_a1111.borrowing import filled
from latentry_api_a1111.calls import Call, Calls
from latentry_api_a1111.failing import Failure
from latentry_api_a1111.fields import Asked, Img2Img, Txt2Img
from latentry_api_a1111.generating import run_jobs
from latentry_api_a1111.preferences import Preferences
from latentry_api_a1111.replies import Pictures, reply
from latentry_api_a1111.routes.making import Anyone, router
from latentry_api_a1111.settings import changed, current_model
from latentry_api_a1111.translating import settings_of, task_of, wishes_of
from latentry_sdk.service import Caller, Service, Wish

BUSY: dict[int | str, dict[str, Any]] = {
    429: {"model": Failure, "description": "Too many jobs wait"},
    500: {"model": Failure, "description": "A job failed"},
    503: {"model": Failure, "description": "The server is about to stop"},
    504: {"model": Failure, "description": "A job took too long"},
    507: {"model": Failure, "description": "The server's disk is nearly full"},
}


def routes(service: Service, calls: Calls, preferences: Preferences) -> APIRouter:
    """The two that make pictures; each answers when its jobs have ended."""
    here = router()

    def begun(asked: Asked, caller: Caller) -> tuple[Call, Sequence[Wish]]:
        chosen = changed(service.host, preferences.of(caller), settings_of(asked))
        wishes = wishes_of(asked, chosen, service.host)
        if not asked.override_settings_restore_afterwards:
            preferences.keep(caller, chosen)
        model = current_model(service.host, chosen)
        return Call(caller.name, task_of(asked), asked.steps, len(wishes), model, chosen.clip), wishes

    async def answer(asked: Asked, caller: Caller) -> Response:
        caller.require("generate")
        caller.require("read")  # or the call could not see its own jobs
        caller.require("read")  # before jobs are taken, of which the answer will tell
        asked = filled(asked)
        call, wishes = await run_in_threadpool(begun, asked, caller)
        with calls.under_way(call):
            jobs = await run_jobs(service, wishes, call, caller)
        return await run_in_threadpool(reply, asked, call, jobs, service.blobs)

    @here.post("/txt2img", response_model=Pictures, responses=BUSY)
    async def txt2img(asked: Txt2Img, caller: Anyone) -> Response:
        """Make pictures from a prompt."""
        return await answer(asked, caller)

    @here.post("/img2img", response_model=Pictures, responses=BUSY)
    async def img2img(asked: Img2Img, caller: Anyone) -> Response:
        """Change a picture, or the part of it that a mask covers."""
        return await answer(asked, caller)

    return here
