"""Numbers that are none, or out of range (behaviours, section 9, item 3)."""

from collections.abc import Mapping
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial

NO_COUNT: tuple[Any, ...] = (nan, inf, -inf, 1e308, 2.5, True, "", "many", [1], {})
NO_NUMBER: tuple[Any, ...] = (nan, inf, -inf, True, "", "much", [1.0])

BAD: Mapping[str, tuple[Any, ...]] = {
    "seed": (*NO_COUNT, -2, 2**64, 10**400),
    "steps": (*NO_COUNT, 0, -1, 1001, 10**6),
    "width": (*NO_COUNT, 0, 7, -64, 63, 10**6),
    "height": (*NO_COUNT, 0, 7, -64, 63, 10**6),
    "batch": (*NO_COUNT, 0, -1, 65, 10**6),
    "guidance": (*NO_NUMBER, -100, -0.5, 101, 1e308),
}

OPTIONS: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("inpaint", "strength"): (*NO_NUMBER, 0, -1, 1.0001, 1e308),
    ("write_images", "quality"): (*NO_COUNT, 0, 101),
    ("read_images", "max_input_megapixels"): (*NO_COUNT, 0, 10**6),
}

COMMANDS = (
    ("--seed=-2", "-1"),
    ("--seed=18446744073709551616", "18446744073709551615"),
    ("--seed=1.5", "integer"),
    ("--seed=true", "integer"),
    ("--steps=0", "1"),
    ("--steps=1000000", "1000"),
    ("--steps=nan", "integer"),
    ("--steps=1e3", "integer"),
    ("--width=0", "8"),
    ("--width=7", "8"),
    ("--width=63", "64"),
    ("--width=1000000", "16384"),
    ("--height=-64", "8"),
    ("--batch=0", "1"),
    ("--batch=65", "64"),
    ("--guidance=-100", "0"),
    ("--guidance=nan", "100"),
    ("--guidance=inf", "100"),
    ("--guidance=1e308", "100"),
    ("--guidance=five", "number"),
    ("--quality=101", "100"),
    ("-Owrite_images.quality=0", "1"),
    ("--steps=" + "9" * 100_000, ""),
)


def cases(table: Mapping[Any, tuple[Any, ...]]) -> list[Any]:
    return [pytest.param(k, v, id=f"{k}-{str(v)[:12]}") for k, values in table.items() for v in values]


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_a_bad_number_is_refused(trial: "Trial", name: str, value: Any) -> None:
    assert name in trial.refused(**{name: value})


@pytest.mark.parametrize(("place", "value"), cases(OPTIONS))
def test_a_bad_number_in_an_option_is_refused(trial: "Trial", place: tuple[str, str], value: object) -> None:
    owner, name = place
    message = trial.refused(task="inpaint", options={owner: {name: value}})
    assert owner in message
    assert name in message


def test_the_product_of_good_numbers_is_bounded(trial: "Trial") -> None:
    assert "megapixels" in trial.refused(batch=64, width=1024, height=1024)
    assert "megapixels" in trial.refused(width=16384, height=16384)


def test_a_strength_that_leaves_no_step_is_refused(trial: "Trial") -> None:
    assert "strength" in trial.refused(task="inpaint", steps=1, options={"inpaint": {"strength": 0.5}})


@pytest.mark.parametrize("fields", [{"seed": 2**64 - 1, "batch": 2}, {"seed": -1}, {"guidance": 0}], ids=repr)
def test_the_ends_of_the_ranges_work(trial: "Trial", fields: Mapping[str, Any]) -> None:
    assert len(trial.accepted(**fields).artifacts) == fields.get("batch", 1)


@pytest.mark.parametrize(("flag", "legal"), COMMANDS, ids=[flag[:40] for flag, _ in COMMANDS])
def test_the_command_line_refuses_it_in_one_line(shell: "Shell", flag: str, legal: str) -> None:
    line = shell.refused("txt2img", "x", "-o", "x.png", flag)
    assert legal in line
    assert flag.lstrip("-O").partition("=")[0].split(".")[-1] in line
