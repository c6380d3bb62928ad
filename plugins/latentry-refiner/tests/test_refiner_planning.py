"""Which models go together, and where they share the steps."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latentry_refiner.planning import check_fit, steps_before
from latentry_sdk import InvalidRequest, ModelRange, Placement, sigma_at

TRAINED = ModelRange(tuple(0.03 * 1.0062**step for step in range(1000)))


@pytest.mark.parametrize(
    ("switch_at", "timesteps", "own"),
    [
        (0.8, (999, 888, 777, 666, 555, 444, 333, 222, 111), 8),  # changes at timestep 200
        (0.5, (999, 500, 499, 1), 2),
        (0.5, (999, 501, 499.9, 1), 2),
        (0.2, (799, 400, 1), 0),
        (0.99, (999, 400, 10.1), 3),
    ],
)
def test_steps_that_begin_before_the_change_are_the_firsts(
    switch_at: float, timesteps: tuple[float, ...], own: int
) -> None:
    sigmas = (*(sigma_at(TRAINED, timestep) for timestep in timesteps), 0.0)
    assert steps_before(sigmas, TRAINED, switch_at) == own


def plan(family: str = "painters", latents: str = "latents:4", device: str = "here") -> Any:
    """What of a plan decides whether two go together."""
    features = frozenset({latents, "inpaint"}) if latents else frozenset()
    return SimpleNamespace(
        family=SimpleNamespace(name=family),
        header=SimpleNamespace(path=Path("model.safetensors")),
        detected=SimpleNamespace(variant=f"{family}-1", features=features),
        placements={"unet": Placement(device)},
    )


def test_a_model_that_goes_on_from_the_firsts_latents_fits() -> None:
    check_fit(plan(), plan())


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({}, {"family": "singers"}, "model.safetensors is no 'painters' model"),
        ({}, {"latents": "latents:16"}, "the latents of painters-1 models are not those of"),
        ({"latents": ""}, {"latents": ""}, "the latents of"),
        ({}, {"device": "away"}, "it would run on 'away'"),
    ],
)
def test_one_that_does_not_is_refused(first: dict[str, str], second: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        check_fit(plan(**first), plan(**second))
