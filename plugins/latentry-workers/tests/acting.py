"""A plugin for tests: the task `act` runs its prompt as Python in a stage."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentry_sdk import (
    ARTIFACTS,
    JOB,
    DeviceReport,
    DeviceSpec,
    Event,
    InputSpec,
    Memory,
    StageSpec,
    State,
    TaskSpec,
    UserError,
    hookimpl,
)
from latentry_toy.keeping import open_device

heard = deque[Event](maxlen=10)
"""What the hook was told in this process last."""


@dataclass(frozen=True)
class Acted(Event):
    """An event of a plugin's own."""

    said: str
    parts: tuple[bytes, ...] = ()


class Refused(UserError):
    """An error of a plugin's own, whose constructor wants more than a message."""

    def __init__(self, who: str, why: str) -> None:
        super().__init__(f"{who}: {why}", fix="ask nicely")


def act(state: State) -> State:
    """Do what the prompt says; it may put files into `artifacts`."""
    job, artifacts = state[JOB], list[Any]()
    scope = {"job": job, "state": state, "artifacts": artifacts, "Acted": Acted, "Refused": Refused}
    exec(job.plan.request.prompt, scope)
    return state.put(ARTIFACTS, tuple(artifacts))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The toy's device, which says that it has memory for the weights of four toys."""
    report = DeviceReport(True, "roomy", dtypes=("float64",), memory=Memory(total=4 * 5 * 64 * 8))
    return [DeviceSpec("roomy", lambda: report, open_device, frozenset({"toy"}))]


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The one stage."""
    return [StageSpec("act", act, gives=(ARTIFACTS,))]


@hookimpl
def register_tasks() -> Sequence[TaskSpec]:
    """The one task."""
    picture = InputSpec("picture", "image", required=False)
    return [TaskSpec("act", ("load", "act"), inputs=(picture,), formats=("pgm",), model="toy")]


@hookimpl
def on_event(event: Event) -> None:
    """Remember."""
    heard.append(event)
