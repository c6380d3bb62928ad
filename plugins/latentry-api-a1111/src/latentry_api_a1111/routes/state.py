"""How far calls are, how to stop them, and what their caller has set."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.concurrency import run_in_threadpool

from latentry_api_a1111.calls import Calls
from latentry_api_a1111.failing import NotHere
from latentry_api_a1111.generating import stop, stoppable
from latentry_api_a1111.preferences import Preferences
from latentry_api_a1111.routes.making import Anyone, Reader, router
from latentry_api_a1111.settings import changed, current
from latentry_api_a1111.watching import Progress, progress
from latentry_sdk.service import Service

Settings = Annotated[dict[str, Any], Body()]


def routes(service: Service, calls: Calls, preferences: Preferences) -> APIRouter:
    """What belongs to the caller."""
    here = router()

    @here.get("/progress")
    async def get_progress(caller: Reader, skip_current_image: bool = False) -> Progress:
        """How far the caller's call is."""
        return await run_in_threadpool(progress, service, calls, caller, with_image=not skip_current_image)

    @here.post("/interrupt")
    async def interrupt(caller: Anyone) -> dict[str, Any]:
        """End the caller's calls, with what they have made so far."""
        caller.require("generate")
        await stop(service, await stoppable(service, calls, caller), caller, skip=False)
        return {}

    @here.post("/skip")
    async def skip(caller: Anyone) -> dict[str, Any]:
        """End the present iterations of the caller's calls."""
        caller.require("generate")
        await stop(service, await stoppable(service, calls, caller), caller, skip=True)
        return {}

    @here.get("/options")
    def get_options(caller: Reader) -> dict[str, Any]:
        """All settings as they are for the caller."""
        return dict(current(service.host, preferences.of(caller)))

    @here.post("/options")
    def set_options(settings: Settings, caller: Anyone) -> dict[str, Any]:
        """Change settings for the caller's next calls; all of them, or none where one cannot be so."""
        caller.require("generate")
        preferences.keep(caller, changed(service.host, preferences.of(caller), settings))
        return {}

    _models(here)
    return here


def _models(here: APIRouter) -> None:
    for name in ("refresh-checkpoints", "refresh-loras", "refresh-vae", "reload-checkpoint"):

        @here.post(f"/{name}", name=name)
        def refresh(_caller: Reader) -> dict[str, Any]:
            """Nothing to do: models are listed anew at each look, and loaded by the job that needs them."""
            return {}

    @here.post("/unload-checkpoint")
    def unload(_caller: Reader) -> None:
        """Not here: the workers give models back by themselves."""
        raise NotHere("models cannot be unloaded here", fix="the workers give them back when memory is short")
