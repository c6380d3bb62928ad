"""The torch modules behind placed components, for stages that change a model for one job."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from latentry.errors import Unavailable
from latentry.keys import JOB, PLACED
from latentry.state import State
from latentry.types import Placed

if TYPE_CHECKING:
    from torch.nn import Module


@runtime_checkable
class Changeable(Placed, Protocol):
    """A placed component that runs a torch module as it is, and gives it.

    A device need not make such ones: one that converts a component has none to give.
    """

    @property
    def module(self) -> "Module":
        """What is called for the component: a change to it holds from the next call on."""


def placed_module(state: State, component: str) -> "Module":
    """The torch module that runs `component`, which a stage may change.

    The module stays for later jobs, so the change must be undone: by a callback in the job's `undos`.
    Raises `Unavailable` if the component's device has no module to give.
    """
    placed = state[PLACED][component]
    if not isinstance(placed, Changeable):
        device = state[JOB].plan.placements[component].device
        raise Unavailable(
            f"device {device!r} cannot change {component} for one job",
            fix=f"place {component} on a device that runs torch modules as they are",
        )
    return placed.module
