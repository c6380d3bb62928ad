"""Whole jobs of full-size SDXL on devices that find out shapes only: the planned peak is what they hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latentry_images
import latentry_memory
import latentry_offload
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_tiling
import latentry_txt2img
from latentry import Config, Host, Request
from latentry_memory.retrying import AGAIN
from latentry_sdk import ModelHeader
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger

PLUGINS = (
    latentry_images, latentry_memory, latentry_offload, latentry_samplers, latentry_schedules,
    latentry_stable_diffusion, latentry_tiling, latentry_txt2img,
)  # fmt: skip
BOUND = 0.02


def without_weights(header: ModelHeader, part: str) -> Any:
    """A model of the folder in float16, in memory that nobody ever touches."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection,
             "unet": UNet2DConditionModel, "vae": AutoencoderKL}  # fmt: skip
    kind: Any = kinds[part]
    with torch.device("meta"):
        if part.startswith("text"):
            model = kind(CLIPTextConfig.from_pretrained(header.path / part))
        else:
            model = kind.from_config(kind.load_config(header.path / part))
    return model.to(torch.float16).to_empty(device="cpu").eval()


@pytest.mark.slow
@pytest.mark.parametrize("gigabytes", [4, 6, 8, 12, 16, 24])
def test_a_whole_job_holds_what_was_planned(
    tmp_path: Path, asked: Callable[..., Request], monkeypatch: pytest.MonkeyPatch, gigabytes: int
) -> None:
    monkeypatch.setattr("latentry_stable_diffusion.folder_models._open", without_weights)
    accelerator = FakeAccelerator(bytes=gigabytes * 10**9, dry=True)
    config = Config(data_dir=tmp_path, models_dir=tmp_path)
    with Host([*PLUGINS, accelerator], config) as host:
        ledger = Ledger()
        ledger.restart()
        result = host.run(asked(place={"*": "fake"}, dtype="float16", steps=2, seed=1))
    planned = result.applied["memory"]["fake"]
    print(gigabytes, planned, ledger.peak, planned / ledger.peak)
    assert AGAIN not in result.applied["notes"]
    assert planned == pytest.approx(ledger.peak, rel=BOUND)
