"""What there is: samplers, models and the rest."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from latentry_api_a1111 import listing
from latentry_api_a1111.routes.making import Reader, router
from latentry_sdk.service import Service

LISTS = {
    "samplers": listing.samplers,
    "schedulers": listing.schedulers,
    "sd-models": listing.models,
    "upscalers": listing.upscalers,
    "latent-upscale-modes": listing.latent_upscale_modes,
    "prompt-styles": listing.prompt_styles,
}
EMPTY = ("sd-vae", "loras", "hypernetworks", "face-restorers", "realesrgan-models", "script-info")
"""Lists of what Latentry has none of by this way."""


def routes(service: Service) -> APIRouter:
    """One route for each list."""
    here = router()
    for name in LISTS:
        _listed(here, name, service)
    for name in EMPTY:
        _empty(here, name)

    @here.get("/memory")
    def memory(_caller: Reader) -> dict[str, Any]:
        """Bytes of memory, free and used."""
        return dict(listing.memory(service.host))

    @here.get("/cmd-flags")
    def cmd_flags(_caller: Reader) -> dict[str, Any]:
        """How AUTOMATIC1111 would have been started for this."""
        return {"api": True, "nowebui": True}

    @here.get("/scripts")
    def scripts(_caller: Reader) -> dict[str, list[str]]:
        """No script, for either."""
        return {"txt2img": [], "img2img": []}

    @here.get("/embeddings")
    def embeddings(_caller: Reader) -> dict[str, dict[str, Any]]:
        """None by this way."""
        return {"loaded": {}, "skipped": {}}

    return here


def _listed(here: APIRouter, name: str, service: Service) -> None:
    @here.get(f"/{name}", name=name, description=LISTS[name].__doc__)
    def listed(_caller: Reader) -> Sequence[dict[str, Any]]:
        return [dict(item) for item in LISTS[name](service.host)]


def _empty(here: APIRouter, name: str) -> None:
    @here.get(f"/{name}", name=name, description="There are none.")
    def empty(_caller: Reader) -> list[dict[str, Any]]:
        return []
