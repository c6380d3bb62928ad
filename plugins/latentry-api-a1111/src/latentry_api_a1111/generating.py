"""Run a call's jobs one after the other, and stop them when their caller wants it."""

import asyncio
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from latentry_api_a1111.calls import Call, Calls
from latentry_api_a1111.failing import JobFailed
from latentry_sdk.queue import QueuedJob, QueueFull
from latentry_sdk.service import Caller, Service, Wish

LONGEST_WAIT = 5.0
"""Seconds between two tries of a call that has begun, where the queue is full."""


async def run_jobs(service: Service, wishes: Sequence[Wish], call: Call, caller: Caller) -> list[QueuedJob]:
    """The jobs that are done: all of them, unless the call was interrupted or an iteration skipped.

    Raises what submitting does, and `JobFailed` for a job that fails.
    """
    done = []
    for number, wish in enumerate(wishes):
        call.number, call.job, call.skipped = number, None, False
        job = await _ended(service, wish, call, caller)
        if job and job.status == "failed":
            raise JobFailed(job)
        if job and job.status == "done":
            done.append(job)
        if call.interrupted or (job and job.status == "cancelled" and not call.skipped):
            break
    return done


async def stop(service: Service, calls: Sequence[Call], caller: Caller, *, skip: bool) -> None:
    """End the calls, or only their present iterations."""
    for call in calls:
        call.skipped, call.interrupted = skip or call.skipped, call.interrupted or not skip
    for job in [call.job for call in calls if call.job]:
        await run_in_threadpool(service.cancel, job, caller)


async def stoppable(service: Service, calls: Calls, caller: Caller) -> Sequence[Call]:
    """What an interrupt means: the caller's calls whose jobs run, and if none does, those that wait."""
    mine = calls.of(caller.name)
    running = [call for call in mine if await is_running(service, call, caller)]
    return running or mine


async def is_running(service: Service, call: Call, caller: Caller) -> bool:
    """Whether the call's present job has left the queue."""
    if call.job is None:
        return False
    return (await run_in_threadpool(service.job, call.job, caller)).status == "running"


async def _ended(service: Service, wish: Wish, call: Call, caller: Caller) -> QueuedJob | None:
    """The iteration's job when it has ended; None where it was stopped before it had one."""
    job = await _submitted(service, wish, call, caller)
    if job is None:
        return None
    call.job = job.id
    if call.stopping:  # asked for while the job was on its way into the queue
        await run_in_threadpool(service.cancel, job.id, caller)
    return await service.ended(job.id, caller)


async def _submitted(service: Service, wish: Wish, call: Call, caller: Caller) -> QueuedJob | None:
    """The queued job. The first one is refused where the queue is full, later ones wait for a place."""
    while not call.stopping:
        try:
            return await run_in_threadpool(service.submit, wish, caller)
        except QueueFull as full:
            if not call.number:
                raise
            await asyncio.sleep(min(full.seconds, LONGEST_WAIT))
    return None
