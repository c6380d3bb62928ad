"""Checkpoints of full size without weights, and machines that are only described."""

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_memory
import latentry_offload
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Config, Host, Request
from latentry_sdk import (
    DeviceReport,
    DeviceSpec,
    Footprint,
    Memory,
    OptimizerSpec,
    SamplerSpec,
    SchedulerSpec,
    StageSpec,
    Work,
    hookimpl,
)
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.tokenizers import PADDING, clip_tokenizer

GIGABYTE = 10**9
SCHEDULER = {"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
             "beta_schedule": "scaled_linear"}  # fmt: skip


def write_hollow(path: Path, shapes: dict[str, list[int]]) -> None:
    """A safetensors file in float16 whose data is a hole: it takes no room on the disk."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in sorted(shapes.items()):
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of SDXL in its real shapes, with tokenizers and without weights."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    configs = ARCHITECTURES["sdxl"].configs
    folder = tmp_path_factory.mktemp("models") / "sdxl"
    copytree(configs, folder)
    with torch.device("meta"):
        models: dict[str, Any] = {
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configs / "unet")),
            "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(configs / "vae")),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder")),
            "text_encoder_2": CLIPTextModelWithProjection(
                CLIPTextConfig.from_pretrained(configs / "text_encoder_2")
            ),
        }
    for part, model in models.items():
        shapes = {name: list(weight.shape) for name, weight in model.state_dict().items()}
        stem = "model" if part.startswith("text") else "diffusion_pytorch_model"
        write_hollow(folder / part / f"{stem}.safetensors", shapes)
    for part, padding in (("tokenizer", PADDING["sdxl"][0]), ("tokenizer_2", PADDING["sdxl"][1])):
        clip_tokenizer(padding).save_pretrained(folder / part)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    index = json.loads((folder / "model_index.json").read_text())
    kinds = {part: type(model) for part, model in models.items()}
    named = {part: [kind.__module__.partition(".")[0], kind.__name__] for part, kind in kinds.items()}
    (folder / "model_index.json").write_text(json.dumps({**index, **named}))
    return folder


def tiled(footprint: Footprint, work: Work) -> Footprint:
    """What a VAE holds that works on tiles of 512 × 512 pixels, and lays them together."""
    width, height = work.size
    share = min(1.0, 512 * 512 / (width * height))
    whole = 2 * 3 * width * height * work.count * work.bytes
    return replace(footprint, passing=min(footprint.passing, round(footprint.passing * share) + whole))


def untouched(component: Any, _device: Any) -> Any:
    return component, lambda: None


TILING = OptimizerSpec("tiles", frozenset({"vae_encoder", "vae_decoder"}), tiled, untouched, rung=10)


def described(
    name: str, memory: Memory, *, dtypes: tuple[str, ...] = ("float16", "float32"), rank: int = 50
) -> DeviceSpec:
    report = DeviceReport(True, "described", dtypes=dtypes, memory=memory, rank=rank)
    return DeviceSpec(name, lambda: report, lambda _options: None)  # type: ignore[arg-type, return-value]


@pytest.fixture
def device() -> Callable[..., DeviceSpec]:
    """`device(name, memory)`: a device that can be planned for and not opened."""
    return described


@pytest.fixture
def gpu() -> Callable[..., DeviceSpec]:
    """`gpu(gigabytes)`: one called "gpu", which is preferred and computes in float16."""

    def make(gigabytes: float, free: float | None = None) -> DeviceSpec:
        total = round(gigabytes * GIGABYTE)
        return described("gpu", Memory(total, total if free is None else round(free * GIGABYTE)))

    return make


@pytest.fixture
def tiling() -> OptimizerSpec:
    """A test's own tiling, with an honest estimate."""
    return TILING


def around(*devices: DeviceSpec, optimizers: Any = (TILING,)) -> Any:
    """A plugin with these devices and optimizers, and what planning a text to image job asks for."""
    done = [StageSpec("write_images", lambda state: state)]
    euler = [SamplerSpec("euler", lambda denoise, x, sigmas: x)]
    normal = [SchedulerSpec("normal", lambda steps, levels: (*map(float, range(steps, 0, -1)), 0.0))]
    hooks = {"devices": devices, "optimizers": optimizers, "stages": done}
    hooks |= {"samplers": euler, "schedulers": normal}
    return SimpleNamespace(
        **{f"register_{name}": hookimpl(lambda given=given: list(given)) for name, given in hooks.items()}
    )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """`host(*devices)`: the planner, real offloading, a test's own tiling, and described devices."""
    with ExitStack() as opened:

        def open_one(
            *devices: DeviceSpec, optimizers: Any = (TILING,), also: Any = (), **config: Any
        ) -> Host:
            plugins = [latentry_memory, latentry_offload, latentry_stable_diffusion, latentry_txt2img, *also]
            settings = Config(data_dir=tmp_path, models_dir=tmp_path / "models", **config)
            made = opened.enter_context(Host([*plugins, around(*devices, optimizers=optimizers)], settings))
            assert [record.reason for record in made.records if record.status != "active"] == []
            return made

        yield open_one


@pytest.fixture
def asked(sdxl: Path) -> Callable[..., Request]:
    """A request for a picture of 1024 × 1024 by SDXL."""
    fixed = {"task": "txt2img", "prompt": "a cat", "model": str(sdxl), "steps": 30}
    return lambda **more: Request(**{**fixed, **more})
