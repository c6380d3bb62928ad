"""Send what a job makes as server-sent events, by the names that OpenAI gives them."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from anyio import CancelScope
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from latentry_api_openai.asking import Asked
from latentry_api_openai.failures import failure
from latentry_api_openai.replies import encoded, pictures_of, shown_size
from latentry_sdk import Preview
from latentry_sdk.service import Caller, Service

NO_USAGE: Mapping[str, Any] = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
}
"""Clients look for it at the end of a stream. No tokens are counted here."""


@dataclass(frozen=True)
class Watched:
    """A job that a client watches; `kind` is how the names of its events begin."""

    service: Service
    caller: Caller
    job: str
    asked: Asked
    kind: str

    async def events(self) -> AsyncIterator[bytes]:
        """Previews of the first picture, as many as were asked for; then all pictures, or an error."""
        try:
            async for event in self._events():
                yield event
        except Exception as exc:
            yield _sent("error", {**failure(exc).body(), "type": "error"})

    async def _events(self) -> AsyncIterator[bytes]:
        sent = 0
        async for event in self.service.events(self.job, self.caller):
            if isinstance(event, Preview) and event.index == 0 and sent < self.asked.partial_images:
                yield self._partial(event, sent)
                sent += 1
        job = await run_in_threadpool(self.service.job, self.job, self.caller)
        for picture in await run_in_threadpool(pictures_of, job, self.service.blobs):
            yield self._completed(picture)

    def _partial(self, preview: Preview, index: int) -> bytes:
        form = preview.media_type.removeprefix("image/")
        size = f"{preview.width}x{preview.height}"
        return self._picture("partial_image", preview.data, size, form, {"partial_image_index": index})

    def _completed(self, picture: bytes) -> bytes:
        form = self.asked.output_format
        return self._picture("completed", picture, shown_size(picture), form, {"usage": NO_USAGE})

    def _picture(self, what: str, picture: bytes, size: str, form: str, more: Mapping[str, Any]) -> bytes:
        name = f"{self.kind}.{what}"
        said = {
            "type": name,
            "b64_json": encoded(picture),
            "size": size,
            "quality": self.asked.level,
            "background": self.asked.background,
            "output_format": form,
            "created_at": int(time()),
            **more,
        }
        return _sent(name, said)


class WatchedResponse(EventSourceResponse):
    """The events of a job, which is cancelled when they end before it does: nobody waits for it then."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched.events(), headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._watched = watched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        watched = self._watched
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(watched.service.cancel, watched.job, watched.caller)


def _sent(event: str, data: Mapping[str, Any]) -> bytes:
    return format_sse_event(event=event, data_str=json.dumps(data))
