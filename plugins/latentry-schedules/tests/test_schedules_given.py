"""Levels and timesteps that the user writes out, and tables that fit some models only."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from latentry_schedules.given import given_sigmas, given_timesteps
from latentry_schedules.options import SigmasOptions, TimestepsOptions
from latentry_schedules.published import align_your_steps
from latentry_sdk import InvalidRequest, ModelRange


@pytest.mark.parametrize(
    "text",
    ["14.6,5,0.5", " 14.6 , 5.0,5e-1 ", "[14.6, 5, 0.5]", "[14.6,5,.5]", [14.6, 5, 0.5], (14.6, 5, 0.5)],
)
def test_values_are_text_with_commas_or_a_list(text: Any) -> None:
    assert SigmasOptions.model_validate({"values": text}).values == (14.6, 5, 0.5)


@given(st.lists(st.floats(0, 1e4), max_size=1001))
def test_a_list_written_by_python_is_read_to_the_last_digit(values: list[float]) -> None:
    assert SigmasOptions.model_validate({"values": repr(values)}).values == tuple(values)
    assert SigmasOptions.model_validate({"values": ",".join(map(repr, values))}).values == tuple(values)


@given(st.text(alphabet="0123456789.,-+eE[]() naif_"))
def test_any_text_is_values_or_refused(text: str) -> None:
    for options in (SigmasOptions, TimestepsOptions):
        try:
            values = options.model_validate({"values": text}).values
        except ValidationError:
            continue
        assert all(0 <= value < float("inf") for value in values)


@pytest.mark.parametrize(
    "values",
    [
        "14.6,,5", "14.6;5", "nan", "inf,5", "1e400", "-1", "5,true", "[5", [True], [None], "{}", '["5"]',
        "[[5]]", [1e308], 5, "[" * 100_000, "5," * 2000,
    ],
    ids=lambda values: str(values)[:12],
)  # fmt: skip
def test_what_is_no_list_of_levels_is_refused(values: Any) -> None:
    with pytest.raises(ValidationError):
        SigmasOptions.model_validate({"values": values})


def test_the_last_zero_can_be_written_or_left_out(stable_diffusion_range: ModelRange) -> None:
    for values in ((5.0, 1.0), (5.0, 1.0, 0.0)):
        assert given_sigmas(2, stable_diffusion_range, values=values) == (5.0, 1.0, 0.0)


def test_timesteps_are_levels_of_the_model(stable_diffusion_range: ModelRange) -> None:
    trained = stable_diffusion_range.sigmas
    assert given_timesteps(3, stable_diffusion_range, values=(999, 500, 0)) == (
        trained[999],
        trained[500],
        trained[0],
        0.0,
    )
    (between, _) = given_timesteps(1, stable_diffusion_range, values=(500.5,))
    assert between == pytest.approx((trained[500] * trained[501]) ** 0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "no values; give sigmas.values, 3 of them"),
        ((0.0,), "no values; give sigmas.values, 3 of them"),
        ((5.0, 1.0), "the number of values, 2, is not that of steps, 3; ask for 2"),
        ((5.0, 1.0, 0.5, 0.1), "the number of values, 4, is not that of steps, 3"),
        ((5.0, 5.0, 1.0), "must fall, but 5 is followed by 5"),
        ((1.0, 5.0, 0.5), "must fall, but 1 is followed by 5"),
        ((5.0, 0.0, 0.0, 0.0), "must fall, but 0 is followed by 0"),
        ((5.0, 1.0, 1e-320), "is below 1e-05"),
    ],
)
def test_levels_that_make_no_schedule_are_refused(
    values: tuple[float, ...], message: str, stable_diffusion_range: ModelRange
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        given_sigmas(3, stable_diffusion_range, values=values)
    assert message in str(caught.value)


def test_a_flow_model_has_no_level_above_one(flow_range: ModelRange) -> None:
    assert given_sigmas(2, flow_range, values=(1.0, 0.5)) == (1.0, 0.5, 0.0)
    with pytest.raises(InvalidRequest, match="above 1, where a flow model ends"):
        given_sigmas(2, flow_range, values=(14.6, 0.5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "no values; give timesteps.values, 2 of them"),
        ((999, 500, 0), "the number of values, 3, is not that of steps, 2; ask for 3"),
        ((1000, 0), "1000 is above 999, the model's last timestep"),
        ((500, 500), "must fall, but 500 is followed by 500"),
    ],
)
def test_timesteps_that_make_no_schedule_are_refused(
    values: tuple[float, ...], message: str, stable_diffusion_range: ModelRange
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        given_timesteps(2, stable_diffusion_range, values=values)
    assert message in str(caught.value)


@pytest.mark.parametrize("ends", [(0.05, 20.0), (0.02, 10.0)])
def test_a_table_is_refused_for_a_model_that_does_not_reach_its_levels(ends: tuple[float, float]) -> None:
    with pytest.raises(InvalidRequest, match=r"made for levels from 0\.029 to 14\.615; this model has"):
        align_your_steps(10, ModelRange(ends))
