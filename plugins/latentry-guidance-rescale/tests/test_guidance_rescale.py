"""The spread of guided predictions."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentry_guidance_rescale import RescaleOptions, rescale, rescaled
from latentry_sdk import JOB, InvalidRequest, State
from latentry_sdk.guidance import Moment

MOMENT = Moment(torch.zeros(2, 4, 8, 8), 1.0, 1)


def rows(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(2, 4, 8, 8, generator=generator) for name in ("negative", "prompt")}


def strong(rows: Any, _moment: Moment) -> torch.Tensor:
    """Guidance of 9."""
    found: torch.Tensor = rows["negative"] + 9 * (rows["prompt"] - rows["negative"])
    return found


def state(phi: float, features: frozenset[str] = frozenset({"guides"})) -> State:
    plan = SimpleNamespace(
        request=SimpleNamespace(guidance=9.0),
        detected=SimpleNamespace(features=features),
        family=SimpleNamespace(name="other"),
    )
    job: Any = SimpleNamespace(
        plan=plan, options=lambda _: RescaleOptions(guidance_rescale=phi), apply=lambda *_: None
    )
    return State().put(JOB, job)


@given(st.integers(0, 1000))
@settings(deadline=None)
def test_wholly_rescaled_each_image_spreads_as_the_prompts_prediction(seed: int) -> None:
    given_rows = rows(seed)
    out = rescaled(strong, 1.0, given_rows, MOMENT)
    for image, wanted in zip(out, given_rows["prompt"], strict=True):
        assert image.std().item() == pytest.approx(wanted.std().item(), rel=1e-5)


@given(st.integers(0, 1000), st.floats(0, 1))
@settings(deadline=None)
def test_a_part_of_the_way_is_between_both(seed: int, phi: float) -> None:
    given_rows = rows(seed)
    whole, none = rescaled(strong, 1.0, given_rows, MOMENT), strong(given_rows, MOMENT)
    torch.testing.assert_close(rescaled(strong, phi, given_rows, MOMENT), torch.lerp(none, whole, phi))


def test_what_was_not_guided_is_not_rescaled() -> None:
    prompt = {"prompt": rows()["prompt"], "further": rows()["negative"]}
    assert rescaled(lambda given, _: given["prompt"] * 3, 1.0, prompt, MOMENT).equal(prompt["prompt"] * 3)


def test_by_default_the_state_stays_as_it_is() -> None:
    assert RescaleOptions().guidance_rescale == 0
    unchanged = state(0.0, features=frozenset())
    assert rescale(unchanged) is unchanged


def test_a_family_whose_guidance_is_its_own_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'other' models cannot be changed"):
        rescale(state(0.7, features=frozenset()))
