"""Options of the guidance plugins and of the denoiser that are bad (behaviours, section 9, item 3)."""

from collections.abc import Mapping
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial

NO_PART: tuple[Any, ...] = (nan, inf, -inf, True, "", "much", [0.5], None, -0.1, 1.0001, 1e308)
NO_COUNT: tuple[Any, ...] = (nan, inf, -inf, 2.5, True, "", "many", [1], None, -1, 1001, 10**6)
NO_FLAG: tuple[Any, ...] = (nan, 2, "perhaps", [], None)

NO_SIZE: tuple[Any, ...] = (nan, inf, 1.5, True, "", "all", [2], None, 0, -1, 65, 10**6)

OPTIONS: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("guidance_rescale", "guidance_rescale"): NO_PART,
    ("guidance_end", "guidance_start"): NO_PART,
    ("guidance_end", "guidance_end"): NO_PART,
    ("cfg_zero", "cfg_zero"): NO_FLAG,
    ("cfg_zero", "zero_steps"): NO_COUNT,
    ("stable-diffusion.denoise", "at_once"): NO_SIZE,
}
CASES = [
    pytest.param(*key, value, id=f"{key[1]}-{value}") for key, values in OPTIONS.items() for value in values
]
COMMANDS = (
    ("--guidance-rescale=1.0001", "1"),
    ("--guidance-rescale=nan", "guidance_rescale"),
    ("--guidance-start=-0.1", "0"),
    ("--guidance-end=2", "1"),
    ("--zero-steps=-1", "0"),
    ("--zero-steps=half", "zero"),
)


@pytest.mark.parametrize(("owner", "option", "value"), CASES)
def test_a_bad_option_is_refused_by_name(trial: "Trial", owner: str, option: str, value: object) -> None:
    message = trial.refused(options={owner: {option: value}})
    assert owner in message
    assert option in message


@pytest.mark.parametrize(("argument", "legal"), COMMANDS)
def test_on_the_command_line_too(shell: "Shell", argument: str, legal: str) -> None:
    assert legal in shell.refused("txt2img", "a red apple", "-o", "out.png", argument)


def test_an_end_before_the_start_is_refused(trial: "Trial", shell: "Shell") -> None:
    message = trial.refused(options={"guidance_end": {"guidance_start": 0.6, "guidance_end": 0.4}})
    assert "starts at 0.6, after its end at 0.4" in message
    assert "after its end" in shell.refused(
        "txt2img", "x", "-o", "o.png", "--guidance-start=0.6", "--guidance-end=0.4"
    )


def test_an_unknown_option_is_refused_with_the_known_ones(trial: "Trial") -> None:
    assert "guidance_end, guidance_start" in trial.refused(options={"guidance_end": {"stop": 1}})
