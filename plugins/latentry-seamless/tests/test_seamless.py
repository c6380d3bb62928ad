"""Convolutions on a torus, against scipy's; whole models roll with what they get; nothing stays behind."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from scipy.signal import correlate2d

from latentry_sdk import JOB, PLACED, InvalidRequest, Job, Placement, State, Unavailable
from latentry_seamless import SeamlessOptions, fit
from latentry_seamless.wrapping import wrap

MODES: dict[bool, Any] = {False: "constant", True: "wrap"}
each_way = pytest.mark.parametrize(("x", "y"), [(True, False), (False, True), (True, True)])


def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    return AutoencoderKL(block_out_channels=(8, 8, 16), norm_num_groups=4, **blocks).eval()


def everything(module: torch.nn.Module) -> list[Any]:
    """What the modules in it hold beside weights, as text, and the weights."""
    parts = [(repr(part), repr({**vars(part), "_modules": 0, "_parameters": 0})) for part in module.modules()]
    return [parts, *(weight.clone() for weight in module.state_dict().values())]


def same(before: list[Any], after: list[Any]) -> bool:
    return before[0] == after[0] and all(map(torch.equal, before[1:], after[1:]))


def state(placed: Any, **options: Any) -> State:
    plan: Any = SimpleNamespace(
        options_of=lambda kind: kind(**options),
        placements={name: Placement("engine") for name in placed},
        family=SimpleNamespace(name="other"),
        applied=dict,
    )
    return State().put(JOB, Job("test", plan, notify=lambda _: None)).put(PLACED, placed)


class Placed:
    """A component on a device that gives its module."""

    home, dtype = "cpu", "float32"

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __call__(self, *arrays: Any) -> Any:
        return self.module(*arrays)

    def close(self) -> None:
        """Nothing was taken."""


@each_way
@pytest.mark.parametrize(("size", "padding"), [(3, 1), ((3, 5), (1, 2)), (1, 0), (3, 0)])
def test_a_convolution_is_that_of_scipy(size: Any, padding: Any, *, x: bool, y: bool) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(1, 1, size, padding=padding, bias=False).double()
    values = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    rows, columns = padding if isinstance(padding, tuple) else (padding, padding)
    high = np.pad(values[0, 0].numpy(), ((rows, rows), (0, 0)), mode=MODES[y])
    wide = np.pad(high, ((0, 0), (columns, columns)), mode=MODES[x])
    wrap(conv, x=x, y=y)
    found = conv(values)[0, 0].detach().numpy()
    kernel = conv.weight[0, 0].detach().numpy()
    np.testing.assert_allclose(found, correlate2d(wide, kernel, mode="valid"), atol=1e-12)


@each_way
def test_both_halves_of_a_vae_roll_with_what_they_get(*, x: bool, y: bool) -> None:
    model, shifts, places = vae(), (4 * y, 8 * x), (int(y), 2 * x)
    pixels, latents = torch.randn(1, 3, 32, 48), torch.randn(1, 4, 8, 12)
    rolled = pixels.roll(shifts, (2, 3))
    plain = model.encode(rolled).latent_dist.mode()
    wrap(model, x=x, y=y)
    found = model.encode(rolled).latent_dist.mode()
    wanted = model.encode(pixels).latent_dist.mode().roll(places, (2, 3))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert float((plain - wanted).abs().max().detach()) > 1e-2 * float(wanted.std().detach())
    found = model.decode(latents.roll(places, (2, 3))).sample
    torch.testing.assert_close(found, model.decode(latents).sample.roll(shifts, (2, 3)), atol=1e-5, rtol=0)


@each_way
def test_the_undo_leaves_nothing_behind(*, x: bool, y: bool) -> None:
    model, pixels = vae(), torch.randn(1, 3, 16, 16)
    before, seen = everything(model), model(pixels).sample
    undo = wrap(model, x=x, y=y)
    assert not same(before, everything(model))
    assert not model(pixels).sample.equal(seen)
    undo()
    assert same(before, everything(model))
    assert model(pixels).sample.equal(seen)


def test_by_default_nothing_is_looked_at() -> None:
    unchanged = state({})
    assert fit(unchanged) is unchanged
    assert unchanged[JOB].applied == {}


def test_the_stage_changes_unet_and_vae_until_the_job_ends_and_no_other_part() -> None:
    parts = {name: torch.nn.Conv2d(1, 1, 3, padding=1) for name in ("unet", "vae_decoder", "text_encoder")}
    job = fit(state({name: Placed(part) for name, part in parts.items()}, seamless_x=True))[JOB]
    paddings = {name: part.padding for name, part in parts.items()}
    assert paddings == {"unet": (1, 0), "vae_decoder": (1, 0), "text_encoder": (1, 1)}
    assert job.applied == {"seamless": {"x": True, "y": False}}
    job.undos.close()
    assert all(part.padding == (1, 1) for part in parts.values())


def test_a_part_whose_device_has_no_module_is_refused_before_any_is_changed() -> None:
    conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    with pytest.raises(
        Unavailable, match="'engine' cannot change vae_decoder for one job; place vae_decoder"
    ):
        fit(state({"unet": Placed(conv), "vae_decoder": SimpleNamespace()}, seamless_y=True))
    assert conv.padding == (1, 1)


def test_a_model_without_such_parts_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'other' models have no parts"):
        fit(state({"painter": SimpleNamespace()}, seamless_x=True))


@pytest.mark.parametrize("value", [float("nan"), 2, "perhaps", [], None])
def test_the_directions_are_true_or_false(value: Any) -> None:
    with pytest.raises(ValueError, match="bool"):
        SeamlessOptions(seamless_x=value)
