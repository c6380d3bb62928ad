"""SDXL with random weights, and who draws with it: diffusers' pipeline and a host, plain or compiled."""

import copy
import io
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import latentry_channels_last
import latentry_compile
import latentry_cpu
import latentry_cuda
import latentry_images
import latentry_memory
import latentry_offload
import latentry_prompt
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Config, Host, Request
from latentry_sdk import LATENTS, Component, StageSpec, State, hookimpl
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.tokenizers import PADDING, clip_tokenizer

ROOT = Path(__file__).parents[2]
TINY = ROOT / "plugins" / "latentry-stable-diffusion" / "tests" / "conftest.py"
PLUGINS = (
    latentry_channels_last, latentry_compile, latentry_cpu, latentry_cuda, latentry_images, latentry_memory,
    latentry_offload, latentry_prompt, latentry_samplers, latentry_schedules, latentry_txt2img,
)  # fmt: skip
GUIDANCE, SEED = 5.0, 1
TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True)
class Work:
    """What every side draws: one picture of `size` pixels a side, guided, with Euler, from the same noise."""

    folder: Path
    parts: Mapping[str, Any]
    device: str
    dtype: str
    size: int
    steps: int


@dataclass(frozen=True)
class Drawn:
    """The bytes of a picture, and its final latents, in float32 on the processor."""

    picture: bytes
    latents: Any


@dataclass(frozen=True)
class Side:
    """`draw(prompt)` draws up to the bytes of a PNG file; it begins with `held` bytes of weights."""

    draw: Callable[[str], Drawn]
    close: Callable[[], None] = lambda: None
    held: int = 0


def made(folder: Path, *, tiny: bool, device: str, dtype: str) -> Mapping[str, Any]:
    """The parts of an SDXL pipeline with torch's own random weights on the device, also saved in `folder`."""
    import torch
    from diffusers import StableDiffusionXLPipeline

    torch.manual_seed(0)
    parts = dict(_tiny() if tiny else _full(device, getattr(torch, dtype)))
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        parts[name] = parts[name].to(device, getattr(torch, dtype)).eval().requires_grad_(False)
    parts["unet"].conv_out.weight.data.mul_(3)  # so that its answers are of the noise's order
    parts["scheduler"] = unit_variance_euler()
    pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    pipeline.save_pretrained(folder)
    index = folder / "model_index.json"
    named = {**json.loads(index.read_text()), "scheduler": ["diffusers", "EulerDiscreteScheduler"]}
    index.write_text(json.dumps(named))
    return parts


def _tiny() -> Mapping[str, Any]:
    spec = spec_from_file_location("tiny_models", TINY)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.tiny_pipeline(**module.TINY["sdxl"]).components
    return {name: part for name, part in found.items() if name not in ("image_encoder", "feature_extractor")}


def _full(device: str, dtype: Any) -> Mapping[str, Any]:
    """SDXL base by its real configurations."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    configs = ARCHITECTURES["sdxl"].configs
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            parts = {
                "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configs / "unet")),
                "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(configs / "vae")),
                "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder")),
                "text_encoder_2": CLIPTextModelWithProjection(
                    CLIPTextConfig.from_pretrained(configs / "text_encoder_2")
                ),
            }
    finally:
        torch.set_default_dtype(before)
    first, second = PADDING["sdxl"]
    return {**parts, "tokenizer": clip_tokenizer(first), "tokenizer_2": clip_tokenizer(second)}


def unit_variance_euler() -> Any:
    """Euler that starts from noise * sqrt(1 + sigma^2), as Latentry does; diffusers' from noise * sigma."""
    from diffusers import EulerDiscreteScheduler

    class UnitVarianceEuler(EulerDiscreteScheduler):  # type: ignore[misc]
        @property
        def init_noise_sigma(self) -> Any:
            return (self.sigmas.max() ** 2 + 1) ** 0.5

    return UnitVarianceEuler(**TRAINED, timestep_spacing="linspace", steps_offset=1)


def noise(work: Work) -> Any:
    """The noise that both begin with: (1, 4, height, width) of the latents, in float32."""
    import torch

    side = work.size // 2 ** (len(work.parts["vae"].config.block_out_channels) - 1)
    shape = (1, work.parts["vae"].config.latent_channels, side, side)
    return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))


def diffusers_side(work: Work, compiled: Mapping[str, Any] | None = None) -> Side:
    """diffusers' pipeline on the device; `compiled` are torch.compile's arguments, channels last with it."""
    import torch
    from diffusers import StableDiffusionXLPipeline

    parts = {**work.parts, "scheduler": unit_variance_euler()}
    if compiled is not None:
        parts["unet"] = copy.deepcopy(parts["unet"]).to(memory_format=torch.channels_last)
        parts["unet"].compile(fullgraph=True, **compiled)
    pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    kept: dict[str, Any] = {}

    def keep(_pipeline: Any, _step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        kept.update(values)
        return values

    def draw(prompt: str) -> Drawn:
        answer = pipeline(
            prompt, num_inference_steps=work.steps, guidance_scale=GUIDANCE,
            width=work.size, height=work.size, latents=noise(work).to(getattr(torch, work.dtype)),
            callback_on_step_end=keep,
        )  # fmt: skip
        answer.images[0].save(file := io.BytesIO(), "PNG")
        return Drawn(file.getvalue(), kept["latents"].float().cpu())

    modules = (part for part in parts.values() if isinstance(part, torch.nn.Module))
    held = sum(weight.nbytes for module in modules for weight in module.parameters())
    return Side(draw, held=held)


@dataclass
class Loaded:
    """The model as a host loads it from its folder, once for the hosts of all sides."""

    folder: Path
    made: Mapping[str, Component] = field(default_factory=dict)

    def load(self, header: Any, detected: Any) -> Mapping[str, Component]:
        """Components with modules of their own, whose weights are the same."""
        if not self.made:
            (family,) = latentry_stable_diffusion.register_models()
            self.made = family.load(header, detected)
        return {name: replace(part, module=_sharing(part.module)) for name, part in self.made.items()}

    def plugin(self) -> Any:
        """The plugin of Stable Diffusion whose family loads so."""
        (family,) = latentry_stable_diffusion.register_models()
        families = [replace(family, load=self.load)]
        return SimpleNamespace(
            register_models=hookimpl(lambda: families),
            register_stages=latentry_stable_diffusion.register_stages,
        )


def _sharing(module: Any) -> Any:
    weights = (*module.parameters(), *module.buffers())
    return copy.deepcopy(module, {id(weight): weight for weight in weights})


class Watcher:
    """A plugin that keeps the latents of the last job."""

    latents: Any = None

    @hookimpl(wrapper=True)
    def run_stage(self, stage: StageSpec, state: State) -> Generator[None, State, State]:
        """Remember what the stage gave."""
        after = yield
        if LATENTS in after:
            self.latents = after[LATENTS]
        return after


def latentry_side(
    work: Work, loaded: Loaded, options: Mapping[str, Any], compiled: Mapping[str, Any] | None = None
) -> Side:
    """A host with everything on the device; `compiled` are the options of `compile` for the UNet."""
    watcher = Watcher()
    config = Config(data_dir=work.folder.parent / "data", cache_dir=work.folder.parent / "cache")
    host = Host(plugins=[*PLUGINS, loaded.plugin(), watcher], config=config)
    if wrong := [f"{record.name}: {record.reason}" for record in host.records if record.status != "active"]:
        raise RuntimeError("; ".join(wrong))
    given: dict[str, Mapping[str, Any]] = {work.device: options} if options else {}
    if compiled is not None:
        given["compile"] = compiled
    request = Request(
        task="txt2img", model=str(work.folder), seed=SEED, steps=work.steps, guidance=GUIDANCE,
        sampler="euler", scheduler="normal", width=work.size, height=work.size, dtype=work.dtype,
        place={"*": work.device},
        optimizers=() if compiled is None else ("unet=compile",), options=given,
    )  # fmt: skip

    def draw(prompt: str) -> Drawn:
        result = host.run(request.model_copy(update={"prompt": prompt}))
        return Drawn(result.artifacts[0].data, watcher.latents.float().cpu())

    return Side(draw, host.close)


def product_rate(side: int = 8192) -> float:
    """TFLOP/s of a bfloat16 product of two matrices, the median of 20."""
    import torch

    one, other = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        one @ other
    rates = []
    for _ in range(20):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        one @ other
        ended.record()
        ended.synchronize()
        rates.append(2 * side**3 / began.elapsed_time(ended) / 1e9)
    return median(rates)


def operations(work: Work) -> tuple[float, float]:
    """Floating-point operations of a picture and of one step: those of products, convolutions and attention.

    By torch's own counter, from pictures of one step and of two.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for few in (1, 2):
        side = diffusers_side(replace(work, steps=few))
        with FlopCounterMode(display=False) as counter:
            side.draw("count")
        counts.append(float(counter.get_total_flops()))
    step = counts[1] - counts[0]
    return counts[0] + (work.steps - 1) * step, step
