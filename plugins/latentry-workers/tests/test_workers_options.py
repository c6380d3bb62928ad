"""Wrong options are refused in one line when the executor is opened."""

from typing import Any

import pytest

from latentry import Config, Host, UserError

NAN, INFINITE = float("nan"), float("inf")
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"process": {}}, r"unknown option 'process'; known: grace, jobs, processes"),
    "no processes": ({"processes": {}}, r"processes: .*at least 1"),
    "no name": ({"processes": {"": {}}}, r"processes"),
    "a list": ({"processes": ["cuda"]}, r"processes: "),
    "unknown of one": ({"processes": {"a": {"device": "cpu"}}}, r"unknown option"),
    "a place that is no name": ({"processes": {"a": {"place": {"*": 1}}}}, r"place"),
    "an empty interpreter": ({"processes": {"a": {"python": ""}}}, r"python"),
    "an odd variable": ({"processes": {"a": {"environment": {"A=B": "c"}}}}, r"environment"),
    "a NUL": ({"processes": {"a": {"environment": {"A": "\0"}}}}, r"environment"),
    "nicer than nice": ({"processes": {"a": {"nice": 20}}}, r"nice"),
    "less than nice": ({"processes": {"a": {"nice": -1}}}, r"nice"),
    "nice as bool": ({"processes": {"a": {"nice": True}}}, r"a number is wanted, not true or false"),
    "half nice": ({"processes": {"a": {"nice": 1.5}}}, r"nice"),
    "no jobs": ({"jobs": 0}, r"jobs"),
    "jobs as bool": ({"jobs": True}, r"not true or false"),
    "no silence": ({"silence": 1}, r"silence"),
    "too warm": ({"warm": 1.01}, r"warm"),
    **{f"{name} {value}": ({name: value}, name) for name in ("start", "silence", "grace", "warm")
       for value in (NAN, INFINITE, -1, "x", None, True)},
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_it_is_refused_in_one_line(wrong: str) -> None:
    options, reason = WRONG[wrong]
    config = Config(executor="workers", plugins=("toy", "workers"), options={"workers": options})
    with pytest.raises(UserError, match=reason) as raised:
        _ = Host(config=config).executor
    assert str(raised.value).startswith("options.workers: ")
    assert "\n" not in str(raised.value)
