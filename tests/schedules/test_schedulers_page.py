"""The page about schedulers says what they are. Run as a program, this writes its table of levels anew."""

import re
from pathlib import Path

import latentry_schedules
from latentry_sdk import SchedulerSpec
from latentry_sdk.testing import stable_diffusion_range

PAGE = Path(__file__).parents[2] / "docs" / "schedulers.md"
LEVELS = re.compile(r"<!-- levels -->\n(?P<table>(\n?\|.*\n)*)")
SPECS = {spec.name: spec for spec in latentry_schedules.register_schedulers()}
STEPS = 10


def table() -> str:
    """A row of ten levels for each schedule that needs no options."""
    given = ("sigmas", "timesteps")
    rows = [["name", *map(str, range(STEPS))], ["---", *["---:"] * STEPS]]
    for name, spec in SPECS.items():
        if name not in given:
            levels = spec.sigmas(STEPS, stable_diffusion_range())[:-1]
            rows.append([f"`{name}`", *(f"{level:.3g}" for level in levels)])
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def told() -> dict[str, str]:
    """What the page's first table says about the options of each schedule."""
    rows = re.findall(r"^\| `(\w+)` \|.*\|([^|]*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows[: len(SPECS)])


def test_the_levels_on_the_page_are_those_of_the_schedules() -> None:
    found = LEVELS.search(PAGE.read_text(encoding="utf-8"))
    assert found
    assert found["table"] == table(), f"run {Path(__file__).name}, which writes them anew"


def test_every_schedule_is_on_the_page_with_its_options() -> None:
    named = {name: re.findall(r"`(\w+)`", options) for name, options in told().items()}
    assert named == {name: own_options(spec) for name, spec in SPECS.items()}


def own_options(spec: SchedulerSpec) -> list[str]:
    """All but those that every schedule has, which have sections of their own."""
    assert "zero_snr" in spec.options.model_fields
    assert ("skip_last" in spec.options.model_fields) == ("values" not in spec.options.model_fields)
    return [name for name in spec.options.model_fields if name not in ("zero_snr", "skip_last")]


def test_the_defaults_on_the_page_are_those_of_the_options() -> None:
    for name, options in told().items():
        fields = {option: SPECS[name].options.model_fields[option] for option in own_options(SPECS[name])}
        told_of = {option: field.default for option, field in fields.items()}
        defaults = {option: str(default) for option, default in told_of.items() if default not in (None, ())}
        written = dict(re.findall(r"`(\w+)` \(([\w.]+)\)", options))
        assert written == {option: default.removesuffix(".0") for option, default in defaults.items()}


def write() -> None:
    """Put the levels as they are now into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(LEVELS.sub(lambda _: f"<!-- levels -->\n{table()}", text), encoding="utf-8")


if __name__ == "__main__":
    write()
