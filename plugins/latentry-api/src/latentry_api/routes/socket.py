"""One WebSocket for progress and previews of many jobs."""

import asyncio
import logging
from contextlib import suppress
from typing import Any, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic_core import from_json

from latentry_api.attempt import described
from latentry_api.routes.events import as_json
from latentry_api.service import JobService
from latentry_sdk import Count, Field, InvalidRequest, LatentryError, Options, parsed
from latentry_sdk.service import Caller, caller_of

log = logging.getLogger(__name__)
router = APIRouter()
MOST_WATCHED = 256


class Wanted(Options):
    """What a client says: watch a job from event `after` on, or watch it no more."""

    action: Literal["watch", "unwatch"] = "watch"
    job: str = Field(min_length=1, max_length=64)
    after: Count = Field(0, ge=0)


@router.websocket("/socket")
async def socket(connection: WebSocket) -> None:
    """Tell what happens to the jobs that the client wants to watch, each until it ends."""
    await connection.accept()
    talk = Talk(connection, connection.app.state.service, caller_of(connection))
    try:
        with suppress(WebSocketDisconnect):
            while True:
                await talk.hear(await connection.receive_text())
    finally:
        talk.end()


class Talk:
    """The jobs that one client watches, a task for each; what they say goes out one by one."""

    def __init__(self, connection: WebSocket, service: JobService, caller: Caller) -> None:
        self._connection, self._service, self._caller = connection, service, caller
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def hear(self, text: str) -> None:
        """Do what a message asks for; what is wrong with it is said."""
        try:
            wanted = _wanted(text)
            if task := self._watched.pop(wanted.job, None):
                task.cancel()
            if wanted.action == "watch":
                self._watch(wanted)
        except LatentryError as exc:
            await self._say({"kind": "error", "error": described(exc)})

    def end(self) -> None:
        """Watch nothing more."""
        for task in self._watched.values():
            task.cancel()

    def _watch(self, wanted: Wanted) -> None:
        if len(self._watched) >= MOST_WATCHED:
            raise InvalidRequest(f"{MOST_WATCHED} jobs are watched at one time")
        task = asyncio.create_task(self._follow(wanted))
        self._watched[wanted.job] = task
        task.add_done_callback(lambda done: self._forget(wanted.job, done))

    def _forget(self, job: str, task: "asyncio.Task[None]") -> None:
        if self._watched.get(job) is task:
            del self._watched[job]

    async def _follow(self, wanted: Wanted) -> None:
        try:
            async for event in self._service.events(wanted.job, self._caller, after=wanted.after):
                await self._say(as_json(wanted.job, event))
        except LatentryError as exc:
            await self._say({"kind": "error", "job": wanted.job, "error": described(exc)})
        except (WebSocketDisconnect, RuntimeError):
            log.debug("a watcher left", extra={"job": wanted.job})

    async def _say(self, message: dict[str, Any]) -> None:
        async with self._turn:
            await self._connection.send_json(message)


def _wanted(text: str) -> Wanted:
    try:
        said = from_json(text, allow_inf_nan=False)
    except ValueError as exc:
        raise InvalidRequest(f"the message is no JSON: {exc}") from exc
    if not isinstance(said, dict):
        raise InvalidRequest("the message is no JSON object")
    return parsed(Wanted, said)
