"""Which worker a job goes to, and which models a worker keeps."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import latentry_toy
from latentry import Host, Request
from latentry.errors import Unavailable
from latentry_sdk import ModelLoaded

if TYPE_CHECKING:
    from conftest import Workshop

Opened = Callable[..., "Workshop"]
MODEL = Path(latentry_toy.__file__).parent / "model"


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Three copies of the toy's model, by path."""
    return [str(shutil.copytree(MODEL, tmp_path / name)) for name in ("a", "b", "c")]


def loaded(host: Host, model: str, **more: Any) -> bool:
    """Whether a job with the model had to load it."""
    told: list[Any] = []
    host.run(Request(task="toy", prompt="a cross", steps=1, model=model, **more), on_event=told.append)
    return any(isinstance(event, ModelLoaded) for event in told)


def test_a_job_goes_to_the_worker_that_has_its_model(opened: Opened, models: list[str]) -> None:
    workshop = opened(processes={"one": {}, "two": {}})
    workshop.ready()
    first, second, _ = models
    assert [loaded(workshop.host, model) for model in (first, second)] == [True, True]
    assert [loaded(workshop.host, model) for model in (first, second, second, first)] == [False] * 4


def test_a_model_that_does_not_fit_beside_another_takes_its_place(opened: Opened, models: list[str]) -> None:
    """The toy's device does not say how much memory it has: one model at a time."""
    workshop = opened()
    first, second, _ = models
    assert [loaded(workshop.host, model) for model in (first, first, second, first)] == [
        True,
        False,
        True,
        True,
    ]


def test_models_stay_while_their_weights_take_no_more_than_their_share(
    opened: Opened, models: list[str]
) -> None:
    """Half of a device with room for four: two stay, and the least recently used goes for a third."""
    workshop = opened(warm=0.5)
    first, second, third = models
    place = {"*": "roomy"}
    asked = [first, second, first, second, first, third, first, second]
    found = [loaded(workshop.host, model, place=place) for model in asked]
    assert found == [True, True, False, False, False, True, False, True]


def test_no_share_keeps_the_last_model_alone(opened: Opened, models: list[str]) -> None:
    workshop = opened(warm=0)
    asked = [models[0], models[0], models[1], models[0]]
    assert [loaded(workshop.host, model, place={"*": "roomy"}) for model in asked] == [
        True,
        False,
        True,
        True,
    ]


def test_a_model_that_was_changed_is_loaded_again(opened: Opened, models: list[str]) -> None:
    workshop = opened()
    index = Path(models[0]) / "model_index.json"
    assert [loaded(workshop.host, models[0]) for _ in range(2)] == [True, False]
    index.write_text(index.read_text() + " ")
    assert loaded(workshop.host, models[0])


PLACES = {"plain": {"place": {"*": "toy"}}, "large": {"place": {"*": "roomy"}}}


def test_a_job_that_names_a_device_goes_to_the_worker_that_owns_it(opened: Opened) -> None:
    workshop = opened(processes=PLACES)
    for device in ("roomy", "toy", "roomy"):
        result = workshop.host.run(Request(task="toy", prompt="a cross", place={"painter": device}))
        assert result.applied["placements"] == {"painter": device}


def test_a_job_that_names_none_is_placed_where_its_worker_is(opened: Opened) -> None:
    workshop = opened(processes={"large": PLACES["large"]})
    result = workshop.host.run(Request(task="toy", prompt="a cross"))
    assert result.applied["placements"] == {"painter": "roomy"}


def test_a_device_that_no_worker_owns_is_refused_with_those_they_own(opened: Opened) -> None:
    workshop = opened(processes={"plain": PLACES["plain"]})
    with pytest.raises(Unavailable, match=r"^no worker owns roomy; workers own plain: toy$"):
        workshop.host.run(Request(task="toy", prompt="a cross", place={"*": "roomy"}))


def test_a_worker_has_variables_of_its_own(opened: Opened) -> None:
    workshop = opened(processes={"worker": {"environment": {"CUDA_VISIBLE_DEVICES": "7"}}})
    workshop.act("import os; assert os.environ['CUDA_VISIBLE_DEVICES'] == '7'")
