"""The paths of the images API, over a server's jobs."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from latentry_api_openai.asking import Asked, Edit, Generation
from latentry_api_openai.failures import UnknownModel, failure
from latentry_api_openai.forms import read_form
from latentry_api_openai.replies import images, model, pictures_of
from latentry_api_openai.schema import (
    ErrorsReply,
    ImagesReply,
    ModelReply,
    ModelsReply,
    edit_body,
    generation_body,
)
from latentry_api_openai.streaming import Watched, WatchedResponse
from latentry_api_openai.waiting import ended
from latentry_api_openai.wishes import edit_wish, generation_wish
from latentry_sdk import ModelEntry, parsed
from latentry_sdk.service import Caller, Service, Wish, caller_of


def router(service: Service) -> APIRouter:
    """All paths under /v1."""
    paths, do = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"]), Endpoints(service)
    pictures = _replies(ImagesReply, {"text/event-stream": {"schema": {"type": "string"}}})
    paths.add_api_route(
        "/images/generations",
        do.generate,
        methods=["POST"],
        responses=pictures,
        openapi_extra={"requestBody": {"content": generation_body()}},
    )
    paths.add_api_route(
        "/images/edits",
        do.edit,
        methods=["POST"],
        responses=pictures,
        openapi_extra={"requestBody": {"content": edit_body(), "required": True}},
    )
    paths.add_api_route("/models", do.models, responses=_replies(ModelsReply))
    paths.add_api_route("/models/{name:path}", do.model, responses=_replies(ModelReply))
    return paths


def _replies(
    good: type[BaseModel], content: Mapping[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The documentation of replies; `content` is what else a good one may be."""
    return {
        200: {"model": good, "content": content or {}},
        "4XX": {"model": ErrorsReply},
        "5XX": {"model": ErrorsReply},
    }


def caller(request: Request) -> Caller:
    """Who asks."""
    return caller_of(request)


Asker = Annotated[Caller, Depends(caller)]


class OpenAIRoute(APIRoute):
    """A route whose errors are OpenAI's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the path, with every exception answered."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except Exception as exc:
                return failure(exc).response()

        return handler


@dataclass(frozen=True)
class Endpoints:
    """What each path does."""

    service: Service

    async def generate(self, request: Request, caller: Asker, body: Annotated[dict[str, Any], Body()]) -> Any:
        """Make pictures from a prompt."""
        asked = parsed(Generation, body)
        return await self._made(request, caller, asked, generation_wish(asked), "image_generation")

    async def edit(self, request: Request, caller: Asker) -> Any:
        """Change a picture: where its mask is transparent, or as a whole without one."""
        form = await read_form(request)
        asked = parsed(Edit, form.fields)
        return await self._made(request, caller, asked, edit_wish(asked, form.image, form.mask), "image_edit")

    def models(self, caller: Asker) -> Any:
        """All models."""
        caller.require("read")
        return {"object": "list", "data": [model(entry) for entry in self.service.host.models()]}

    def model(self, name: str, caller: Asker) -> Any:
        """One model."""
        caller.require("read")
        return model(self._entry(name))

    async def _made(self, request: Request, caller: Caller, asked: Asked, wish: Wish, kind: str) -> Any:
        caller.require("read")  # or it could not see what it asks for
        job = await run_in_threadpool(self._submit, wish, caller)
        if asked.stream:
            return WatchedResponse(Watched(self.service, caller, job, asked, kind))
        done = await ended(self.service, job, caller, request)
        return images(done, asked, await run_in_threadpool(pictures_of, done, self.service.blobs))

    def _submit(self, wish: Wish, caller: Caller) -> str:
        if named := wish.request.get("model"):
            self._entry(named)
        return self.service.submit(wish, caller).id

    def _entry(self, name: str) -> ModelEntry:
        entries = {entry.name: entry for entry in self.service.host.models()}
        if name not in entries:
            raise UnknownModel("model", name, entries)
        return entries[name]
