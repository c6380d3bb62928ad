"""Put the server's parts together: routes, surfaces of plugins, errors, the document."""

import logging
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Response

from latentry_api import problems, schema
from latentry_api.metrics import Measured, Metrics
from latentry_api.routes import events, files, health, jobs, listings, socket
from latentry_api.routes.context import CallerHere
from latentry_api.service import JobService
from latentry_api.views import ROOT
from latentry_sdk.service import Caller, MountedSurface

log = logging.getLogger(__name__)


def create_app(service: JobService) -> FastAPI:
    """The app of a service, with every surface that plugins mount."""
    app = FastAPI(title="Latentry", version=version("latentry-api"), docs_url=None, redoc_url=None)
    app.state.service = service
    metrics = Metrics(service.queue)
    for part in (jobs, events, socket, files, listings, health):
        app.include_router(part.router, prefix=ROOT)
    app.include_router(_metrics_router(metrics))
    _mount_surfaces(app, service)
    problems.install(app, service.host)
    schema.install(app, service.host)
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(WithCaller)
    return app


class WithCaller:
    """Gives each request the caller that the security in front of it found; without any, all may do all."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Put the caller where `caller_of` looks."""
        if scope["type"] in ("http", "websocket"):
            scope.setdefault("state", {})["caller"] = scope.get("latentry.caller", Caller())
        await self._app(scope, receive, send)


def _metrics_router(metrics: Metrics) -> APIRouter:
    router = APIRouter(prefix=ROOT, tags=["health"])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def show(caller: CallerHere) -> Response:
        """Numbers for Prometheus."""
        caller.require("read")
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return router


def _mount_surfaces(app: FastAPI, service: JobService) -> None:
    """Add each surface; one that fails is left out, and the log says why."""
    for name, surface in service.host.registry.surfaces.items():
        if isinstance(surface, MountedSurface):
            try:
                app.include_router(surface.mount(service))
            except Exception:
                log.exception("the surface %s could not be mounted", name)
