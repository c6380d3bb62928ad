"""The scale of the negative prediction, and the steps without any."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentry_cfg_zero import ZeroOptions, nearest_scale, scale, scaled
from latentry_sdk import JOB, InvalidRequest, State
from latentry_sdk.guidance import Moment

SCALE = 5.0


def rows(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prompt, more = (torch.randn(2, 4, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    return {"negative": 0.7 * prompt + 0.4 * more, "prompt": prompt}


def plain(rows: Any, _moment: Moment) -> torch.Tensor:
    found: torch.Tensor = rows["negative"] + SCALE * (rows["prompt"] - rows["negative"])
    return found


def at(step: int) -> Moment:
    return Moment(torch.zeros(2, 4, 8, 8), 1.0, step)


def state(*, features: frozenset[str] = frozenset({"guides"}), warn: Any = None, **options: Any) -> State:
    plan = SimpleNamespace(
        request=SimpleNamespace(guidance=SCALE),
        detected=SimpleNamespace(features=features),
        family=SimpleNamespace(name="other"),
    )
    job: Any = SimpleNamespace(
        plan=plan, options=lambda _: ZeroOptions(**options), apply=lambda *_: None, warn=warn
    )
    return State().put(JOB, job)


@given(st.integers(0, 1000))
@settings(deadline=None)
def test_guidance_starts_from_the_least_squares_fit_of_the_negative(seed: int) -> None:
    given_rows = rows(seed)
    out = scaled(plain, 0, given_rows, at(1))
    for image, cond, uncond in zip(out, given_rows["prompt"], given_rows["negative"], strict=True):
        (fit,), *_ = np.linalg.lstsq(uncond.reshape(-1, 1).numpy(), cond.flatten().numpy(), rcond=None)
        wanted = fit * uncond + SCALE * (cond - fit * uncond)
        torch.testing.assert_close(image, wanted)


def test_a_negative_of_nothing_stays_nothing() -> None:
    zeros = torch.zeros(2, 4, 8, 8)
    assert nearest_scale(rows()["prompt"].float(), zeros).equal(torch.zeros(2, 1, 1, 1))


def test_the_first_steps_give_zero_and_the_others_do_not() -> None:
    found = [bool(scaled(plain, 2, rows(), at(step)).any()) for step in (1, 2, 3)]
    assert found == [False, False, True]


def test_without_a_negative_the_prompt_is_left_alone() -> None:
    prompt = rows()["prompt"]
    assert scaled(lambda given, _: given["prompt"], 0, {"prompt": prompt}, at(1)).equal(prompt)


def test_by_default_the_state_stays_as_it_is() -> None:
    unchanged = state(features=frozenset())
    assert scale(unchanged) is unchanged


def test_steps_without_the_method_are_told() -> None:
    told: list[str] = []
    unchanged = state(zero_steps=1, warn=told.append)
    assert scale(unchanged) is unchanged
    assert told == ["zero_steps has no effect without cfg_zero"]


def test_a_family_whose_guidance_is_its_own_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'other' models cannot be changed"):
        scale(state(cfg_zero=True, features=frozenset()))
