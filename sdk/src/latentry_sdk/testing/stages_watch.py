"""Run jobs with one stage watched: what it reads and puts, and what was in its hands before and after."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from latentry_sdk import JOB, PLACED, Host, Job, Key, Plan, Result, StageSpec, State
from latentry_sdk.modules import Changeable
from latentry_sdk.testing.fingerprints import fingerprint

Around = Callable[[Callable[[State], State], State], State]


@dataclass
class Seen:
    """What a stage did with its state: names of keys, the entries as they were and became, and what
    it gave; `result` is what the job gave, or `error` what ended it."""

    read: set[str] = field(default_factory=set)
    put: set[str] = field(default_factory=set)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    gave: Any = None
    result: Result | None = None
    error: str = ""


class Watched(State):
    """A state that tells who reads and puts what. What is only read if it is there is not told."""

    def __init__(self, entries: Mapping[str, Any], seen: Seen) -> None:
        super().__init__(entries)
        object.__setattr__(self, "_seen", seen)

    def __getitem__(self, key: Key[Any]) -> Any:
        seen: Seen = vars(self)["_seen"]
        if key.name not in seen.put:
            seen.read.add(key.name)
        return super().__getitem__(key)

    def put(self, key: Key[Any], value: Any) -> State:
        """As the state does, and told."""
        seen: Seen = vars(self)["_seen"]
        seen.put.add(key.name)
        return Watched(super().put(key, value)._entries, seen)


def around(plan: Plan, spec: StageSpec, run: Around) -> Plan:
    """The plan in which `run(stage, state)` stands for the stage."""

    def one(stage: StageSpec) -> StageSpec:
        same = stage.name == spec.name
        return replace(stage, run=lambda state: run(spec.run, state)) if same else stage

    return replace(plan, stages=tuple(map(one, plan.stages)))


def watching(plan: Plan, spec: StageSpec, seen: Seen) -> Plan:
    """The plan with the stage watched."""

    def run(stage: Callable[[State], State], state: State) -> State:
        seen.before = _contents(state._entries)
        seen.gave = stage(Watched(state._entries, seen))
        seen.after = _contents(state._entries)
        gave: State = unwatched(seen.gave)  # or what it gave in a state's stead, which the host refuses
        return gave

    watched = around(plan, spec, run)
    for other in plan.stages:
        if other.name != spec.name:
            watched = around(watched, other, lambda stage, state: stage(unwatched(state)))
    return watched


def unwatched(state: Any) -> Any:
    """The state as others get it: what a stage reads that runs within the watched one is its own matter."""
    return State(state._entries) if isinstance(state, Watched) else state


def run_plan(host: Host, plan: Plan, *, cancel: threading.Event | None = None) -> Result:
    """Run a plan as the host does, without keeping a record."""
    job = Job(os.urandom(8).hex(), plan, lambda _event: None, _cancel=cancel or threading.Event())
    return host.executor.run(job)


def modules(state: State) -> Mapping[str, Any]:
    """The torch modules of placed components that give theirs."""
    placed = state.get(PLACED) or {}
    return {name: part.module for name, part in placed.items() if isinstance(part, Changeable)}


def prints(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What all modules are at this moment."""
    return {
        f"{name}: {part}": value
        for name, module in found.items()
        for part, value in fingerprint(module).items()
    }


def _contents(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the entries hold, so that a change within one shows; the job is changed by its own methods."""
    return {name: _content(value) for name, value in entries.items() if name != JOB.name}


def _content(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _content(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_content(part) for part in value]
    if hasattr(value, "tobytes") and hasattr(value, "mode"):
        return sha256(value.tobytes()).hexdigest()
    if hasattr(value, "untyped_storage"):
        return tuple(value.shape), sha256(value.detach().cpu().float().numpy().tobytes()).hexdigest()
    return value if isinstance(value, int | float | str | bytes) else id(value)
