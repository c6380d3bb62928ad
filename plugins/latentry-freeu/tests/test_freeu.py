"""FreeU is diffusers' own while a job runs, and nothing of it is left after."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from latentry_freeu import FreeUOptions, scale
from latentry_sdk import JOB, PLACED, InvalidRequest, Job, Placement, State, Unavailable

FACTORS = {"b1": 1.5, "b2": 1.6, "s1": 0.9, "s2": 0.2}
OPTIONS = {f"freeu_{name}": value for name, value in FACTORS.items()}


class Placed:
    """A component on a device that gives its module."""

    home, dtype = "cpu", "float32"

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __call__(self, *arrays: Any) -> Any:
        return self.module(*arrays)

    def close(self) -> None:
        """Nothing was taken."""


def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
        cross_attention_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).eval()


def state(placed: Any, **options: float) -> State:
    plan: Any = SimpleNamespace(
        options_of=lambda kind: kind(**options),
        placements={name: Placement("engine") for name in placed},
        family=SimpleNamespace(name="other"),
        applied=dict,
    )
    return State().put(JOB, Job("test", plan, notify=lambda _: None)).put(PLACED, placed)


def seen(model: UNet2DConditionModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    sample, text = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 3, 8, generator=generator)
    with torch.inference_mode():
        found: torch.Tensor = model(sample, 500, text).sample
    return found


def attributes(model: UNet2DConditionModel) -> list[set[str]]:
    return [set(vars(part)) for part in model.modules()]


def test_the_stage_enables_what_diffusers_does_until_the_job_ends() -> None:
    model, other = unet(), unet()
    before, names = seen(model), attributes(model)
    other.enable_freeu(**FACTORS)
    job = scale(state({"unet": Placed(torch.nn.Sequential(model))}, **OPTIONS))[JOB]
    assert seen(model).equal(seen(other))
    assert job.applied == {"freeu": FACTORS}
    job.undos.close()
    assert seen(model).equal(before)
    assert attributes(model) == names


@pytest.mark.parametrize("name", OPTIONS)
def test_each_factor_alone_changes_what_is_seen(name: str) -> None:
    model = unet()
    before = seen(model)
    scale(state({"unet": Placed(model)}, **{name: OPTIONS[name]}))
    assert float((seen(model) - before).abs().max()) > 1e-3 * float(before.std())


def test_by_default_nothing_is_looked_at() -> None:
    unchanged = state({})
    assert scale(unchanged) is unchanged
    assert unchanged[JOB].applied == {}


def test_a_device_without_a_module_is_refused() -> None:
    with pytest.raises(Unavailable, match="'engine' cannot change unet for one job; place unet on a device"):
        scale(state({"unet": SimpleNamespace()}, freeu_b1=1.2))


@pytest.mark.parametrize("placed", [{}, {"unet": Placed(torch.nn.Conv2d(1, 1, 1))}])
def test_a_model_without_such_a_unet_is_refused(placed: Any) -> None:
    with pytest.raises(InvalidRequest, match="'other' models have no UNet"):
        scale(state(placed, freeu_b1=1.2))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", [0, -1, 10.5, float("nan"), float("inf"), True, "much", [1.0], None])
def test_factors_are_above_0_and_at_most_10(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        FreeUOptions(**{name: value})
