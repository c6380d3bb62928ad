"""Which steps are guided."""

from itertools import chain, pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from latentry_guidance_end import EndOptions, guided_steps, limit
from latentry_sdk import JOB, SIGMAS, InvalidRequest, State
from latentry_sdk.guidance import GUIDED_STEPS


def state(features: frozenset[str] = frozenset({"guides"}), **options: float) -> State:
    plan = SimpleNamespace(
        request=SimpleNamespace(guidance=5.0),
        detected=SimpleNamespace(features=features),
        family=SimpleNamespace(name="other"),
    )
    job: Any = SimpleNamespace(plan=plan, options=lambda _: EndOptions(**options), apply=lambda *_: None)
    return State().put(JOB, job).put(SIGMAS, (4.0, 3.0, 2.0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (0.0, 0.99, [1, 2, 3]),
        (0.0, 0.5, [1, 2]),
        (0.5, 1.0, [3, 4]),
        (0.25, 0.75, [2, 3]),
        (0.2, 0.74, [1, 2]),
        (0.5, 0.5, []),
        (0.0, 0.0, []),
        (1.0, 1.0, []),
    ],
)
def test_edges_are_rounded_down(start: float, end: float, wanted: list[int]) -> None:
    assert list(limit(state(guidance_start=start, guidance_end=end)).get(GUIDED_STEPS, range(1, 5))) == wanted


@given(st.integers(1, 1000), st.lists(st.floats(0, 1), max_size=4))
def test_neighbouring_parts_share_the_steps(steps: int, parts: list[float]) -> None:
    edges = pairwise([0.0, *sorted(parts), 1.0])
    shared = [guided_steps(steps, EndOptions(guidance_start=low, guidance_end=high)) for low, high in edges]
    assert list(chain(*shared)) == list(range(1, steps + 1))


def test_by_default_the_state_stays_as_it_is() -> None:
    unchanged = state(features=frozenset())
    assert limit(unchanged) is unchanged


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"starts at 0.5, after its end at 0.4"):
        EndOptions(guidance_start=0.5, guidance_end=0.4)


def test_a_family_whose_guidance_is_its_own_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'other' models cannot be changed"):
        limit(state(features=frozenset(), guidance_end=0.5))
