"""What stages may change about guidance: the rows a model is asked for, and what is made of its outputs.

A row is one evaluation of the model for an image: with the negative prompt, the prompt, or what a stage asks
for. A family whose `Detected.features` have "guides" does as the keys here say. Stages put them before
`@denoise`, with `add_guide` and `add_row`, which refuse other families.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from latentry.errors import InvalidRequest
from latentry.keys import JOB
from latentry.plan import Plan
from latentry.request import Options
from latentry.state import Key, State

NEGATIVE = "negative"
"""The row with the negative prompt. It is not there where guidance is off."""

PROMPT = "prompt"
"""The row with the prompt. It is always there."""

FEATURE = "guides"
"""What a family that reads these keys says in `Detected.features`."""


@dataclass(frozen=True)
class Moment:
    """When the model was asked.

    `x` are the latents (images, channels, height, width) as the sampler has them, whose noise has deviation
    `sigma`; `step` is the sampling step, from 1. One step may ask several times, at different levels.
    """

    x: Any
    sigma: float
    step: int


Guide = Callable[[Mapping[str, Any], Moment], Any]
"""`guide(rows, moment) -> output`: the model's outputs by the names of their rows, combined to one.

Each is (images, channels, height, width), in the model's own output space: noise, velocity or flow. A guide
changes none of them in place, and treats each image by itself.
"""

Wrapper = Callable[[Guide], Guide]

GUIDES = Key[tuple[Wrapper, ...]]("guidance.guides")
"""Wrappers of the family's own guide, the innermost first. They are composed once a job."""

GUIDED_STEPS = Key[range]("guidance.steps")
"""The sampling steps, from 1, that have a negative row; all of them where no stage says it."""


@dataclass(frozen=True)
class Row:
    """A further row, with the prompt's text. The family's own guide leaves it out; a `Guide` uses it.

    The batch that the model gets has the rows of an image after one another, further ones last, and images
    after one another. `before(where)` is called before each call of the model with the row's places in that
    batch, as `slice(index, None, count)`: what changes the model for this row alone can be told there.
    """

    name: str
    before: Callable[[slice], None]


ROWS = Key[tuple[Row, ...]]("guidance.rows")
"""The further rows, in order."""


def add_guide(state: State, wrapper: Wrapper) -> State:
    """The state in which `wrapper` is laid around the guides there are."""
    return _with(state, GUIDES, wrapper)


def add_row(state: State, row: Row) -> State:
    """The state in which `row` comes after the rows there are."""
    return _with(state, ROWS, row)


def without_guides(state: State) -> State:
    """The state before any guide or row was added: for stages that are to add theirs again."""
    return state.put(GUIDES, ()).put(ROWS, ())


def composed(guide: Guide, state: State) -> Guide:
    """A family's own guide within the wrappers of `GUIDES`."""
    wrappers = state.get(GUIDES) or ()
    return reduce(lambda inner, wrapper: wrapper(inner), wrappers, guide)


def check_guides(state: State) -> None:
    """Raise `InvalidRequest` for a family that does not read the keys of this module."""
    _check(state[JOB].plan)


def needs_guides(kind: type[Options]) -> Callable[[Plan, Any], None]:
    """The `further` of a stage whose options of `kind` change guidance unless they are the defaults.

    It plans nothing, but refuses already at planning what `check_guides` would refuse.
    """

    def check(plan: Plan, _planned: Any) -> None:
        if plan.options_of(kind) != kind():
            _check(plan)

    return check


def _check(plan: Plan) -> None:
    if FEATURE not in plan.detected.features:
        raise InvalidRequest(f"the guidance of {plan.family.name!r} models cannot be changed")


def _with(state: State, key: Key[tuple[Any, ...]], item: Any) -> State:
    check_guides(state)
    return state.put(key, (*(state.get(key) or ()), item))
