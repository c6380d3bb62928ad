"""The sizes of pictures that a pipeline takes, from its models' configurations."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentry_diffusers.abilities import ability

Configs = Mapping[str, Mapping[str, Any]]
"""The configuration of each model."""

DENOISERS = ("transformer", "unet", "prior_transformer", "decoder")
VAES = ("vae", "movq", "vqvae", "vqgan")
SAMPLES = 128
"""Latents of a side where no configuration says it; what diffusers' transformers are asked for."""


def multiple(configs: Configs) -> int:
    """What both sides must be divisible by: a latent's pixels times the latents of a patch, at least 8."""
    denoiser, vae = first(configs, DENOISERS), first(configs, VAES)
    patch = denoiser.get("patch_size") or denoiser.get("all_patch_size") or 1
    latents = largest(patch) if "transformer" in configs else 1
    if _int(denoiser.get("in_channels")) >= 4 * _int(vae.get("latent_channels") or vae.get("z_dim")) > 0:
        latents = max(latents, 2)  # patches of two by two, packed into the channels
    return max(factor(vae) * latents, 8)


def native_size(named: str, configs: Configs) -> tuple[int, int]:
    """(width, height): the denoiser's `sample_size` in pixels, else what the class itself would draw."""
    sample, unit = first(configs, DENOISERS).get("sample_size"), factor(first(configs, VAES))
    if sample:
        height, width = sample if isinstance(sample, list) else (sample, sample)
        return int(width) * unit, int(height) * unit
    kind = ability(named, "txt2img")
    width, height = (kind.defaults.get(side) if kind else None for side in ("width", "height"))
    return (width or SAMPLES * unit, height or SAMPLES * unit)


def factor(vae: Mapping[str, Any]) -> int:
    """How many pixels a latent's side covers; 1 where there is no VAE."""
    for name in ("scale_factor_spatial", "spatial_compression_ratio"):
        if isinstance(vae.get(name), int):
            return int(vae[name])
    if "temperal_downsample" in vae:
        return int(2 ** len(vae["temperal_downsample"]))
    channels = vae.get("encoder_block_out_channels") or vae.get("block_out_channels") or (1,)
    return int(2 ** (len(channels) - 1))


def first(configs: Configs, names: Sequence[str]) -> Mapping[str, Any]:
    """The configuration of the first of these models that is there; empty where none is."""
    return next((configs[name] for name in names if name in configs), {})


def largest(patch: Any) -> int:
    """The patch's side; of a list of sides the largest."""
    return max(map(int, patch)) if isinstance(patch, list) else int(patch)


def _int(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0
