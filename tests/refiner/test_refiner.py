"""The refiner on a host with every plugin: off by default, and refused at planning where it does not fit."""

from collections.abc import Iterator
from math import inf, nan
from typing import Any

import pytest

from latentry import Config, Host, Request, UserError
from latentry_sdk import Stepped


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins, on folders of its own."""
    folder = tmp_path_factory.mktemp("host")
    with Host(config=Config(models_dir=folder, data_dir=folder, cache_dir=folder)) as host:
        yield host


def request(refiner: Any = None, **asked: Any) -> Request:
    options = {**({"refiner": refiner} if refiner else {}), **asked.pop("options", {})}
    return Request(
        task="txt2img", options=options, **{"prompt": "a red apple", "steps": 4, "seed": 7, **asked}
    )


def test_without_a_second_model_nothing_is_planned_and_nothing_told(host: Host) -> None:
    plan = host.plan(request({"switch_at": 0.3}))
    assert plan.further["refiner"] is None
    seen: list[Any] = []
    result = host.run(request(), on_event=seen.append)
    assert "refiner" not in result.applied
    steps = [(event.step, event.steps) for event in seen if isinstance(event, Stepped)]
    assert steps == [(n, 4) for n in range(1, 5)]


def test_the_second_plan_is_the_firsts_but_for_the_model(host: Host) -> None:
    options = {"write_images": {"quality": 50}, "euler_ancestral": {"eta": 0.5}}
    asked = {"width": 96, "sampler": "Euler a", "seed": None, "options": options}
    plan = host.plan(request({"refiner": "emoji"}, **asked))
    second = plan.further["refiner"]
    assert second
    assert (second.seeds, second.size, second.sigmas) == (plan.seeds, (96, 64), plan.sigmas)
    assert (second.sampler, second.further["refiner"]) == (plan.sampler, None)
    assert second.options_for(second.sampler) == plan.options_for(plan.sampler)


BAD: list[tuple[dict[str, Any], str]] = [
    *(({"refiner": "emoji", "switch_at": v}, "switch_at") for v in (nan, inf, 0, 1, -0.1, True, "x", [1])),
    *(({"refiner": value}, "refiner") for value in ("", 3, True, [], "x" * 5000)),
    *(({"refiner": value}, "unknown model") for value in ("nothing", "../nothing", "/nothing", "x" * 4000)),
    ({"refiner": "a\0b"}, "control characters"),
    ({"refiner": "emoji", "switch_at": 0.0001}, "none to the first"),
    ({"unknown": 1}, "unknown option"),
]


@pytest.mark.parametrize(("refiner", "says"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_refused_at_planning(host: Host, refiner: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        host.plan(request(refiner))
    assert len(str(caught.value).splitlines()) == 1
    assert says in str(caught.value)


def test_one_step_cannot_be_shared(host: Host) -> None:
    with pytest.raises(UserError, match="of 1 steps"):
        host.plan(request({"refiner": "emoji"}, steps=1))
