"""The VAE of Stable Diffusion XL, whole and in pieces: what a call takes, and what was estimated.

    python tests/benchmarks/tiling_shapes.py

Counted on the pretend accelerator, which finds out shapes only; in float16, in MB.
"""

from offload_shapes import PLENTY, arguments, module, taken

import latentry_tiling
from latentry_sdk import Component, Footprint, Options, Work
from latentry_sdk.testing.accelerator import FakeAccelerator, fake_device

SIZES = (512, 1024, 2048)
TILES = ({"tile": 256, "halo": 32}, {"tile": 512, "halo": 64}, {"tile": 768, "halo": 64})


def main() -> None:
    """Print the table."""
    spec = {spec.name: spec for spec in latentry_tiling.register_optimizers()}["vae-tiling"]
    device = fake_device(0, FakeAccelerator(PLENTY, dry=True)).open(Options())
    print(f"{'':36} {'passing':>8} {'told':>8} {'off':>6}")
    for part in ("vae_decoder", "vae_encoder"):
        made = module("sdxl", part)
        for size in SIZES:
            inputs = arguments("sdxl", part, size)
            component = Component(part, "torch", made, lambda inputs=inputs: inputs, lambda: "")
            plain = taken(device, component, None, {})
            print(f"{part} {size:<24} {plain.passing / 1e6:8.1f}")
            for options in (each for each in TILES if each["tile"] < size):
                found = taken(device, component, spec, options).passing
                before = Footprint(plain.kept, plain.passing)
                told = spec.estimate(before, Work(part, (size, size), 1, 2), **options).passing
                off = f"{told / found - 1:+6.0%}"
                print(f"  tile {options['tile']:<29} {found / 1e6:8.1f} {told / 1e6:8.1f} {off}")


if __name__ == "__main__":
    main()
