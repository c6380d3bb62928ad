"""All routes, as one router."""

from fastapi import APIRouter

from latentry_api_a1111.calls import Calls
from latentry_api_a1111.preferences import Preferences
from latentry_api_a1111.routes import elsewhere, generation, lists, pictures, state
from latentry_sdk.service import Service

PREFIX = "/sdapi/v1"


def router_of(service: Service) -> APIRouter:
    """The routes under `/sdapi/v1`, and the few beside it that clients of extensions ask for."""
    calls, preferences = Calls(), Preferences()
    router = APIRouter(tags=["a1111"])
    for part in (
        generation.routes(service, calls, preferences),
        state.routes(service, calls, preferences),
        lists.routes(service),
        pictures.routes(),
    ):
        router.include_router(part, prefix=PREFIX)
    router.include_router(elsewhere.routes(service))
    return router
