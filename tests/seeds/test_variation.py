"""Variations on the whole way: between the pictures of two seeds, and each image its single run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from latentry import Config, Host, Request, Result, UserError

SEED, OTHER = 7, 1000


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins, on folders of its own."""
    folder = tmp_path_factory.mktemp("host")
    with Host(config=Config(models_dir=folder, data_dir=folder, cache_dir=folder)) as host:
        yield host


def run(host: Host, strength: float | None = None, other: int | None = None, **asked: Any) -> Result:
    given = {"variation_strength": strength, "variation_seed": other}
    options = {"variation": {name: value for name, value in given.items() if value is not None}}
    fields = {"prompt": "a red apple on a blue background", "steps": 8, "seed": SEED, **asked}
    return host.run(Request(task="txt2img", options=options, **fields))


def pixels(result: Result, index: int = 0) -> Any:
    return np.asarray(result.artifacts[index].open(), float)


def test_the_ends_are_the_pictures_of_the_two_seeds(host: Host) -> None:
    plain = run(host)
    assert np.array_equal(pixels(plain), pixels(run(host, 0.0, OTHER)))
    assert np.abs(pixels(run(host, 1.0, OTHER)) - pixels(run(host, seed=OTHER))).max() <= 1
    assert "variation" not in plain.applied


def test_a_small_strength_stays_near_and_a_larger_goes_further(host: Host) -> None:
    start = pixels(run(host))
    near, far = (np.abs(pixels(run(host, part, OTHER)) - start).mean() for part in (0.05, 0.6))
    assert 0 < near < far


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
def test_an_image_of_a_batch_equals_the_single_run_with_its_variation_seed(host: Host, sampler: str) -> None:
    batch = run(host, 0.4, OTHER, batch=3, sampler=sampler)
    assert [artifact.seed for artifact in batch.artifacts] == [SEED] * 3
    assert batch.applied["variation"] == {"strength": 0.4, "seeds": [OTHER, OTHER + 1, OTHER + 2]}
    for index in range(3):
        alone = run(host, 0.4, OTHER + index, sampler=sampler)
        assert np.array_equal(pixels(batch, index), pixels(alone))


def test_the_records_name_seed_and_variation(host: Host) -> None:
    record = run(host, 0.4, OTHER, batch=2).artifacts[1].open().info["parameters"]
    assert f"Seed: {SEED}, Variation seed: {OTHER + 1}, Variation seed strength: 0.4," in record


def test_a_variation_seed_that_is_not_named_is_drawn_and_told(host: Host) -> None:
    first, second = (run(host, 0.4).applied["variation"]["seeds"] for _ in range(2))
    assert first != second
    again = run(host, 0.4, first[0])
    assert again.applied["variation"]["seeds"] == first


@pytest.mark.parametrize(
    "wrong",
    [{"variation_strength": value} for value in (-0.1, 1.0001, float("nan"), "x", True)]
    + [{"variation_seed": value} for value in (-2, 2**64, 1.5, True, "x")],
    ids=str,
)
def test_bad_numbers_are_refused_in_one_line(host: Host, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        host.run(Request(task="txt2img", options={"variation": wrong}))
    assert len(str(caught.value).splitlines()) == 1
