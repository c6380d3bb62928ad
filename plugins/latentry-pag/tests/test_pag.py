"""Rows without attention, against torch's attention under a mask; layers by name; the scale; the undo."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from latentry_pag import PERTURBED, Away, PagOptions, perturb
from latentry_pag.attention import Perturbation, chosen, legal_names, own_name, self_attentions
from latentry_sdk import (
    JOB,
    PLACED,
    InvalidRequest,
    Job,
    ModelRange,
    Options,
    Placement,
    State,
    Unavailable,
    UnknownName,
)
from latentry_sdk.guidance import ROWS, Moment, composed

RANGE = ModelRange(tuple(0.03 * 1.0063**t for t in range(1000)))
NAMES = {
    "mid": "mid_block",
    "mid.attentions_0": "mid_block.attentions.0",
    "down": "down_blocks",
    "down.block_1": "down_blocks.1",
    "down.block_1.attentions_0": "down_blocks.1.attentions.0",
    "up": "up_blocks",
    "up.block_0": "up_blocks.0",
    "up.block_0.attentions_0": "up_blocks.0.attentions.0",
    "up.block_0.attentions_1": "up_blocks.0.attentions.1",
}


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


def state(placed: Any, features: frozenset[str] = frozenset({"guides"}), **options: Any) -> State:
    plan: Any = SimpleNamespace(
        options_of=lambda kind: kind(**options),
        options_for=lambda _: Options(),
        scheduler="normal",
        placements={name: Placement("engine") for name in placed},
        detected=SimpleNamespace(features=features, model_range=RANGE),
        family=SimpleNamespace(name="other"),
        applied=dict,
    )
    return State().put(JOB, Job("test", plan, notify=lambda _: None)).put(PLACED, placed)


def processors(model: torch.nn.Module) -> list[Any]:
    return [part.processor for part in model.modules() if isinstance(part, Attention)]


@pytest.fixture
def layer() -> Any:
    torch.manual_seed(0)
    return Attention(16, heads=4, dim_head=4).eval().requires_grad_(False)


@pytest.mark.parametrize("rows", [slice(2, None, 3), slice(1, None, 2), slice(0, None, 2), slice(0)])
def test_a_perturbed_row_is_attention_that_sees_its_own_place_alone(layer: Any, rows: slice) -> None:
    hidden = torch.randn(6, 5, 16)
    own = torch.full((5, 5), -torch.inf).fill_diagonal_(0)
    mask = torch.zeros(6, 5, 5)
    mask[rows] = own
    wanted = layer(hidden, attention_mask=mask.repeat_interleave(4, dim=0))
    perturbation = Perturbation()
    undo = perturbation.install([layer])
    perturbation.turn(rows)
    torch.testing.assert_close(layer(hidden), wanted, atol=1e-6, rtol=1e-5)
    undo()
    assert float((layer(hidden) - wanted).abs().max()) > 1e-3 or rows == slice(0)


def test_a_second_perturbation_takes_the_place_of_the_first_until_it_is_undone(layer: Any) -> None:
    hidden, before, first, second = torch.randn(4, 5, 16), layer.processor, Perturbation(), Perturbation()
    undo_first = first.install([layer])
    first.turn(slice(1, None, 2))
    wanted = layer(hidden)
    undo_second = second.install([layer])
    first.turn(slice(0, None, 2))
    second.turn(slice(1, None, 2))
    assert layer(hidden).equal(wanted)
    undo_second()
    first.turn(slice(1, None, 2))
    assert layer(hidden).equal(wanted)
    undo_first()
    assert layer.processor is before


def test_layers_are_found_by_their_short_and_their_own_names() -> None:
    found = self_attentions(torch.nn.Sequential(unet()))
    assert legal_names(found) == set(NAMES)
    for short, own in NAMES.items():
        assert own_name(short) == own_name(own) == own
        wanted = [part for name, part in found.items() if name.startswith(f"{own}.")]
        assert wanted
        assert chosen(found, [short]) == chosen(found, [own]) == wanted
    assert len(chosen(found, ["mid", "down", "mid_block"])) == len(chosen(found, ["mid", "down"])) == 2


@pytest.mark.parametrize(
    "layer", ["down.block_0", "mi", "down_blocks.1.attentions.00", "(a+)+$", "up.block_9"]
)
def test_an_unknown_layer_is_refused_with_the_known_ones(layer: str) -> None:
    with pytest.raises(UnknownName, match=r"known: down, down\.block_1, .*mid, mid\.attentions_0, up"):
        chosen(self_attentions(unet()), ["mid", layer])


def test_the_stage_asks_for_a_row_and_guides_away_from_it_until_the_job_ends() -> None:
    model = unet()
    before = processors(model)
    after = perturb(state({"unet": Placed(model)}, pag_scale=2, pag_layers="mid, up.block_0.attentions_1"))
    (row,) = after[ROWS]
    assert row.name == PERTURBED
    assert sum(one is not other for one, other in zip(processors(model), before, strict=True)) == 2
    guide = composed(lambda rows, _: rows["prompt"], after)
    assert guide({"prompt": 5.0, PERTURBED: 3.0}, Moment(None, 1.0, 1)) == 9.0
    job = after[JOB]
    assert job.applied == {
        "pag": {"scale": 2.0, "adaptive": 0.0, "layers": ["mid", "up.block_0.attentions_1"]}
    }
    job.undos.close()
    assert processors(model) == before


def test_the_scale_falls_with_the_timestep_to_nothing() -> None:
    away = Away(3.0, 0.004, RANGE)
    found = [away.at(RANGE.sigmas[t]) for t in (999, 500, 250, 100, 0)]
    assert found == pytest.approx([2.996, 1.0, 0.0, 0.0, 0.0])
    assert Away(3.0, 0.0, RANGE).at(RANGE.sigmas[0]) == 3.0


def test_by_default_nothing_is_looked_at() -> None:
    unchanged = state({}, frozenset())
    assert perturb(unchanged) is unchanged
    assert unchanged[JOB].applied == {}


def test_what_cannot_be_perturbed_is_refused() -> None:
    conv = Placed(torch.nn.Conv2d(1, 1, 1))
    with pytest.raises(InvalidRequest, match="guidance of 'other' models cannot be changed"):
        perturb(state({"unet": Placed(unet())}, frozenset(), pag_scale=1))
    with pytest.raises(Unavailable, match="'engine' cannot change unet for one job"):
        perturb(state({"unet": SimpleNamespace()}, pag_scale=1))
    for placed in ({}, {"unet": conv}):
        with pytest.raises(InvalidRequest, match="'other' models have no attention"):
            perturb(state(placed, pag_scale=1))


@pytest.mark.parametrize("name", ["pag_scale", "pag_adaptive"])
@pytest.mark.parametrize("value", [-1, 100.5, float("nan"), float("inf"), True, "much", [1.0], None])
def test_scales_are_from_0_to_100(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        PagOptions(**{name: value})


@pytest.mark.parametrize("value", ["", ",", [], [""], 5, None, [5], "a" * 129, ["mid"] * 257, True, {}])
def test_layers_are_names(value: Any) -> None:
    with pytest.raises(ValueError, match="pag_layers"):
        PagOptions(pag_layers=value)
