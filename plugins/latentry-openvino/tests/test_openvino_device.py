"""OpenVINO as a device, with real components."""

from pathlib import Path

import openvino
import pytest
import torch
from diffusers import UNet2DConditionModel
from latentry_openvino import OpenVinoOptions, open_openvino
from latentry_sdk import Component, Device, Unavailable


class Unet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.unet = UNet2DConditionModel(
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=12,
            attention_head_dim=2,
            sample_size=8,
        )

    def forward(self, x: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.unet(x, timestep, text, return_dict=False)[0]


def arguments(batch: int, size: int) -> tuple[torch.Tensor, ...]:
    return torch.randn(batch, 4, size, size), torch.tensor(37.0), torch.randn(batch, 5, 12)


def component(module: torch.nn.Module) -> Component:
    return Component("unet", "torch", module, lambda: arguments(2, 8), lambda: "digest")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return open_openvino(OpenVinoOptions(cache=tmp_path / "cache", threads=1))


def test_a_converted_unet_gives_what_torch_gives_for_every_batch_and_size(device: Device) -> None:
    module = Unet().eval()
    placed = device.place(component(module), None)
    for batch, size in ((1, 8), (2, 16), (3, 12)):
        given = arguments(batch, size)
        with torch.no_grad():
            expected = module(*given)
        torch.testing.assert_close(placed(*given), expected, rtol=1e-4, atol=1e-4)


def test_a_tuple_of_outputs_stays_a_tuple(device: Device) -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x * 2, x + 1

    two = Component("two", "torch", Two(), lambda: (torch.zeros(1, 4),), lambda: "two")
    doubled, raised = device.place(two, None)(torch.ones(2, 4))
    assert doubled.tolist() == [[2.0] * 4] * 2
    assert raised.tolist() == [[2.0] * 4] * 2


def test_the_second_placing_converts_nothing(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    module, given = Unet().eval(), arguments(1, 8)
    first = device.place(component(module), None)(*given)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(openvino, "convert_model", refuse)
    torch.testing.assert_close(device.place(component(module), None)(*given), first)


def test_a_cache_entry_cut_in_half_is_made_again(device: Device, tmp_path: Path) -> None:
    module, given = Unet().eval(), arguments(1, 8)
    first = device.place(component(module), None)(*given)
    for file in (tmp_path / "cache").rglob("model.*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    torch.testing.assert_close(device.place(component(module), None)(*given), first)


def test_what_it_cannot_do_is_refused(device: Device, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="float16"):
        device.place(component(Unet()), "float16")
    with pytest.raises(Unavailable, match="no device 'TPU'"):
        open_openvino(OpenVinoOptions(target="TPU", cache=tmp_path))
