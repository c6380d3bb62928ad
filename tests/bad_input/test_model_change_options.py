"""Options of the plugins that change the model that are bad (behaviours, section 9, item 3)."""

from collections.abc import Mapping
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial

NO_FLAG: tuple[Any, ...] = (nan, 2, "perhaps", [], None)
NO_NUMBER: tuple[Any, ...] = (nan, inf, -inf, True, "", "much", [0.5], None, -0.1, 1e308)
NO_LAYERS: tuple[Any, ...] = ("", ",", [], [""], [nan], 5, True, None, {}, "a" * 129, ["mid"] * 257)

OPTIONS: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("seamless", "seamless_x"): NO_FLAG,
    ("seamless", "seamless_y"): NO_FLAG,
    ("freeu", "freeu_b1"): (*NO_NUMBER, 0, 10.1),
    ("freeu", "freeu_b2"): (*NO_NUMBER, 0, 10.1),
    ("freeu", "freeu_s1"): (*NO_NUMBER, 0, 10.1),
    ("freeu", "freeu_s2"): (*NO_NUMBER, 0, 10.1),
    ("pag", "pag_scale"): (*NO_NUMBER, 100.1),
    ("pag", "pag_adaptive"): (*NO_NUMBER, 100.1),
    ("pag", "pag_layers"): NO_LAYERS,
}
CASES = [
    pytest.param(*key, value, id=f"{key[1]}-{str(value)[:12]}")
    for key, values in OPTIONS.items()
    for value in values
]
COMMANDS = (
    ("--freeu-b1=0", "0"),
    ("--freeu-b2=nan", "b2"),
    ("--freeu-s1=11", "10"),
    ("--freeu-s2=little", "s2"),
    ("--pag-scale=-1", "0"),
    ("--pag-adaptive=inf", "adaptive"),
    ("--pag-layers=,", "layers"),
)


@pytest.mark.parametrize(("owner", "option", "value"), CASES)
def test_a_bad_option_is_refused_by_name(trial: "Trial", owner: str, option: str, value: object) -> None:
    message = trial.refused(options={owner: {option: value}})
    assert owner in message
    assert option in message


@pytest.mark.parametrize(("argument", "legal"), COMMANDS)
def test_on_the_command_line_too(shell: "Shell", argument: str, legal: str) -> None:
    assert legal in shell.refused("txt2img", "a red apple", "-o", "out.png", argument)


def test_an_unknown_layer_is_refused_in_one_line_with_the_known_ones(shell: "Shell") -> None:
    arguments = ("--pag-scale=3", "--pag-layers=mid,down.block_7", "--steps=1")
    message = shell.refused("txt2img", "a red apple", "-o", "out.png", *arguments)
    assert "'down.block_7'; known: down, down.block_1" in message
