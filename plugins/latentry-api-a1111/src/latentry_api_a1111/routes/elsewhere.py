"""The few routes outside `/sdapi/v1`: extensions that clients look for, and a ping."""

from typing import Any

from fastapi import APIRouter

from latentry_api_a1111.failing import NotHere
from latentry_api_a1111.routes.making import Anyone, Reader, router
from latentry_sdk.service import Service


def routes(service: Service) -> APIRouter:
    """ControlNet's lists, which are empty, and the queue's length."""
    here = router()

    @here.get("/controlnet/version")
    def version(_caller: Reader) -> dict[str, int]:
        """0: there is none."""
        return {"version": 0}

    @here.get("/controlnet/model_list")
    def model_list(_caller: Reader) -> dict[str, list[str]]:
        """No models."""
        return {"model_list": []}

    @here.get("/controlnet/module_list")
    def module_list(_caller: Reader) -> dict[str, Any]:
        """No preprocessors."""
        return {"module_list": [], "module_detail": {}}

    @here.post("/controlnet/detect")
    def detect(_caller: Anyone) -> None:
        """Not here."""
        raise NotHere("no plugin that is installed gives ControlNet's preprocessors")

    @here.get("/queue/status")
    def status(_caller: Reader) -> dict[str, Any]:
        """How many jobs wait, in the words of Gradio's queue."""
        waiting = service.queue.counts().get("queued", 0)
        return {"msg": "estimation", "rank": None, "queue_size": waiting, "rank_eta": None, "queue_eta": None}

    return here
