"""Full-size Stable Diffusion 1 and XL with each way of offloading: what they take, and what was estimated.

    python tests/benchmarks/offload_shapes.py

Counted on the pretend accelerator, which finds out shapes only; weights in float16. Rows are a component at a
picture's size, without and with the optimizer, in MB: what it keeps, what a call takes beside that, the peak
that was estimated, and how far that is off.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import latentry_offload
import latentry_stable_diffusion
from latentry_sdk import Component, Device, Footprint, OptimizerSpec, Options, Work
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger, fake_device
from latentry_sdk.torch_blocks import largest_block
from latentry_stable_diffusion import modules

CONFIGS = Path(latentry_stable_diffusion.__file__).parent / "configs"
CASES = (
    ("sdxl", "unet", 1024),
    ("sdxl", "unet", 512),
    ("sd1", "unet", 512),
    ("sdxl", "vae_decoder", 1024),
    ("sdxl", "vae_encoder", 1024),
    ("sdxl", "text_encoder", 1024),
    ("sdxl", "text_encoder_2", 1024),
)
CHOICES = (
    ("model-offload", {}),
    ("group-offload", {"ahead": 1}),
    ("group-offload", {"ahead": 0}),
    ("group-offload", {"keep": 2_000_000_000}),
    ("sequential-offload", {}),
    ("disk-offload", {}),
)
PLENTY = 1 << 50


def module(architecture: str, part: str) -> Any:
    """A component's module in float16, without memory that was touched."""
    folder = "vae" if part.startswith("vae") else part
    config = json.loads((CONFIGS / architecture / folder / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        if part == "unet":
            made = modules.unet(UNet2DConditionModel.from_config(config))
        elif part.startswith("vae"):
            made = getattr(modules, part)(AutoencoderKL.from_config(config))
        else:
            kind = CLIPTextModelWithProjection if part.endswith("2") else CLIPTextModel
            made = modules.text_encoder(kind(CLIPTextConfig(**config)), penultimate=architecture == "sdxl")
    return made.half().to_empty(device="cpu")


def arguments(architecture: str, part: str, size: int) -> tuple[torch.Tensor, ...]:
    """What the component is called with for one picture, with guidance."""
    side, half = size // 8, torch.float16
    if part == "unet":
        width = 2048 if architecture == "sdxl" else 768
        plain = (torch.empty(2, 4, side, side, dtype=half), torch.tensor([500.0]))
        plain += (torch.empty(2, 77, width, dtype=half),)
        xl = (torch.empty(2, 1280, dtype=half), torch.empty(2, 6, dtype=half))
        return plain + xl if architecture == "sdxl" else plain
    if part.startswith("vae"):
        return (torch.empty(1, *((4, side, side) if part == "vae_decoder" else (3, size, size)), dtype=half),)
    return (torch.ones(1, 77, dtype=torch.int64),)


def taken(device: Device, component: Component, spec: OptimizerSpec | None, options: Any) -> Footprint:
    """What it keeps after a call, and takes in another."""
    ledger, undo = Ledger(), lambda: None
    if spec:
        component, undo = spec.apply(component, device, **options)
    with device.activate():
        placed = device.place(component, "float16")
        placed(*component.example())
        kept = ledger.now
        ledger.restart()
        placed(*component.example())
        found = Footprint(kept, ledger.peak - kept)
    placed.close()
    del placed
    undo()
    assert ledger.now == 0
    return found


def rows() -> Iterator[tuple[str, Footprint, Footprint]]:
    """Each case with each choice: what was estimated, what was measured."""
    specs = {spec.name: spec for spec in latentry_offload.register_optimizers()}
    device = fake_device(0, FakeAccelerator(PLENTY, dry=True)).open(Options())
    for architecture, part, size in CASES:
        made, inputs = module(architecture, part), arguments(architecture, part, size)
        component = Component(part, "torch", made, lambda inputs=inputs: inputs, lambda: "")
        plain = taken(device, component, None, {})
        before = Footprint(plain.kept, plain.passing, largest_block(made))
        yield f"{architecture} {part} {size}", before, plain
        for name, given in CHOICES:
            if name == "disk-offload" and part == "unet":
                continue  # it would write gigabytes; its footprint is that of group-offload with ahead=0
            options = dict(specs[name].options.model_validate(given))
            told = specs[name].estimate(before, Work(part, (size, size), 2, 2), **options)
            yield f"  {name} {given or ''}", told, taken(device, component, specs[name], options)


def main() -> None:
    """Print the table."""
    print(f"{'':48} {'kept':>8} {'passing':>8} {'told':>9} {'off':>6}")
    for title, told, found in rows():
        peak, estimate = found.kept + found.passing, told.kept + told.passing
        numbers = (found.kept / 1e6, found.passing / 1e6, estimate / 1e6)
        print(f"{title:48} {numbers[0]:8.1f} {numbers[1]:8.1f} {numbers[2]:9.1f} {estimate / peak - 1:+6.0%}")


if __name__ == "__main__":
    main()
