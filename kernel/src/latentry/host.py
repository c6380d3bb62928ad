"""One host with its plugins: plan requests, run jobs."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from threading import Event, Lock
from time import perf_counter
from typing import Any

from latentry import discovery, events, specs
from latentry.builtin import Builtin
from latentry.config import Config, load_config
from latentry.errors import Cancelled, one_line
from latentry.job import Job
from latentry.loader import Candidate, Loader
from latentry.placement import Placer
from latentry.plan import Plan
from latentry.planner import Planner
from latentry.request import Request, Result
from latentry.types import DeviceReport

log = logging.getLogger("latentry")
Notify = Callable[[events.Event], None]


class Host(AbstractContextManager["Host"]):
    """Plugins, what they gave, and the jobs that run on it.

    `plugins` are modules or objects with hooks, for tests and embedding; without it the installed ones
    are taken. A plugin that cannot be used is left out; `records` says why.
    """

    def __init__(self, plugins: Sequence[object] | None = None, config: Config | None = None) -> None:
        self.config = config if config is not None else load_config(os.environ)
        loader = Loader(seconds=self.config.hook_seconds)
        loader.add(Candidate("latentry", lambda: Builtin(self.config), "latentry"))
        for candidate in discovery.installed(self.config) if plugins is None else discovery.given(plugins):
            loader.add(candidate)
        self.records = tuple(loader.records)
        self.registry = loader.registry
        self.commands = dict(loader.commands)
        self.hook: Any = loader.manager.hook
        self._placer = Placer(self.registry, self.hook)
        self._planner = Planner(self.registry, self.hook, self.config, self._placer)
        self._lock = Lock()

    def plan(self, request: Request) -> Plan:
        """Resolve and check everything; raises `UserError` with what to change."""
        return self._planner.plan(request)

    def run(self, request: Request, *, on_event: Notify | None = None, cancel: Event | None = None) -> Result:
        """Plan the request and run it to its result. Setting `cancel` stops it with `Cancelled`."""
        plan = self.plan(request)
        job = Job(os.urandom(16).hex(), plan, self._notifier(on_event), _cancel=cancel or Event())
        record = specs.JobRecord(job.id, request)
        self.store.put(record)
        job.notify(events.Queued(job.id, request.task))
        began = perf_counter()
        try:
            self.store.put(replace(record, status="running"))
            result = self.executor.run(job)
        except BaseException as exc:
            self._ended(job, record, exc)
            raise
        self.store.put(replace(record, status="done", result=result))
        job.notify(events.Done(job.id, perf_counter() - began))
        return result

    def devices(self) -> Mapping[str, DeviceReport]:
        """What each device's probe found."""
        return {name: self._placer.report(spec) for name, spec in self.registry.devices.items()}

    def models(self) -> list[specs.ModelEntry]:
        """The models that can be asked for by name."""
        return self._planner.models()

    def serve(self, surface: str) -> None:
        """Open a surface by name; returns when it is closed."""
        self.registry.surfaces.find(surface).serve(self)

    def close(self) -> None:
        """Give back devices and models."""
        if "executor" in self.__dict__:
            self.__dict__.pop("executor").close()

    @cached_property
    def store(self) -> specs.Store:
        """The configured store, opened when first used."""
        return self.registry.stores.find(self.config.store).open(self.config.data_dir)

    @cached_property
    def executor(self) -> specs.Executor:
        """The configured executor, opened when first used."""
        with self._lock:
            return self.registry.executors.find(self.config.executor).open(self)

    def _ended(self, job: Job, record: specs.JobRecord, exc: BaseException) -> None:
        if isinstance(exc, Cancelled):
            self.store.put(replace(record, status="cancelled"))
            return job.notify(events.Cancelled(job.id))
        self.store.put(replace(record, status="failed", error=one_line(exc)))
        return job.notify(events.Failed(job.id, one_line(exc)))

    def _notifier(self, on_event: Notify | None) -> Notify:
        listeners = [impl.function for impl in self.hook.on_event.get_hookimpls()]

        def notify(event: events.Event) -> None:
            for listener in listeners:
                try:
                    listener(event)
                except Exception:
                    log.exception("a plugin failed to take in %s", type(event).__name__)
            if on_event:
                on_event(event)

        return notify

    def __exit__(self, *_raised: object) -> None:
        self.close()
