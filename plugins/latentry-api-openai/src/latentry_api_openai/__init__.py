"""The surface `openai`: a Latentry server answers as OpenAI's images API does."""

from typing import Any

from latentry_api_openai.refusals import refusal
from latentry_sdk import hookimpl
from latentry_sdk.service import MountedSurface, Service


@hookimpl
def register_surfaces() -> tuple[MountedSurface, ...]:
    """Paths under `/v1`."""
    return (
        MountedSurface(
            "openai",
            mount=mount,
            prefixes=("/v1",),
            refusal=refusal,
            description="OpenAI's images API: /v1/images, /v1/models",
        ),
    )


def mount(service: Service) -> Any:
    """The FastAPI router."""
    from latentry_api_openai.routes import router

    return router(service)
