"""AUTOMATIC1111's HTTP API, mounted on Latentry's server."""

from collections.abc import Sequence
from typing import Any

from latentry_sdk import hookimpl
from latentry_sdk.service import MountedSurface, Service


def mount(service: Service) -> Any:
    """A FastAPI router with all routes; FastAPI is imported here, not where plugins are listed."""
    from latentry_api_a1111.routes import router_of

    return router_of(service)


@hookimpl
def register_surfaces() -> Sequence[MountedSurface]:
    """The surface `a1111`."""
    return [MountedSurface("a1111", mount=mount, description="AUTOMATIC1111's HTTP API, under /sdapi/v1")]
