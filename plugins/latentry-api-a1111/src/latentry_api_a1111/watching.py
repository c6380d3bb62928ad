"""How far a caller's call is: the answer to `GET progress`."""

from base64 import b64encode
from time import monotonic
from typing import Any

from pydantic import BaseModel

from latentry_api_a1111.calls import Call, Calls
from latentry_sdk.queue import QueuedJob
from latentry_sdk.service import Caller, Service


class Progress(BaseModel):
    """Progress from 0 to 1, seconds that are left, and the newest small picture in base64."""

    progress: float = 0.0
    eta_relative: float = 0.0
    state: dict[str, Any]
    current_image: str | None = None
    textinfo: str | None = None


def progress(service: Service, calls: Calls, caller: Caller, *, with_image: bool) -> Progress:
    """That of the caller's oldest call whose job runs, or waits; all zero where there is none.

    It asks the store, so not on the event loop.
    """
    caller.require("read")
    mine = [(call, service.job(call.job, caller) if call.job else None) for call in calls.of(caller.name)]
    mine.sort(key=lambda pair: pair[1] is None or pair[1].status != "running")
    if not mine:
        return Progress(state=state(None, 0.0))
    call, job = mine[0]
    inside = job.progress if job and job.status == "running" else 0.0
    done = (call.number + inside) / call.count
    return Progress(
        progress=done,
        eta_relative=(monotonic() - call.began) * (1 / done - 1) if done else 0.0,
        state=state(call, inside),
        current_image=_image(service, job, caller) if with_image and job else None,
    )


def state(call: Call | None, inside: float) -> dict[str, Any]:
    """The call by the names of AUTOMATIC1111's state; `inside` is the present job's progress."""
    return {
        "skipped": bool(call and call.skipped),
        "interrupted": bool(call and call.interrupted),
        "stopping_generation": bool(call and call.stopping),
        "job": call.task if call else "",
        "job_count": call.count if call else 0,
        "job_timestamp": call.timestamp if call else "0",
        "job_no": call.number if call else 0,
        "sampling_step": int(inside * call.steps) if call else 0,
        "sampling_steps": call.steps if call else 0,
    }


def _image(service: Service, job: QueuedJob, caller: Caller) -> str | None:
    preview = service.preview(job.id, caller)
    return b64encode(preview.data).decode() if preview else None
