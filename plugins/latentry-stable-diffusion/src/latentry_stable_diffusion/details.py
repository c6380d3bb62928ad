"""What the stages must know of a checkpoint, read from its configuration once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from latentry_sdk import UNGUIDED, Detected, Job, ModelRange
from latentry_sdk.guidance import FEATURE
from latentry_stable_diffusion.architectures import Architecture
from latentry_stable_diffusion.layout import largest_blocks, read_layout

INPAINT = "inpaint"


@dataclass(frozen=True)
class Details:
    """The family's own part of `Detected`, JSON-able.

    `channels` is what the UNet takes: the latents, and for inpainting ones (2 * latents + 1) the mask and the
    masked latents too. `force_upcast` says that the VAE overflows in float16; `Layout.of` reads `layout`.
    """

    architecture: str
    prediction: str
    channels: int
    latent_channels: int
    factor: int
    tokens: int
    zero_empty_negative: bool
    aesthetic: bool
    force_upcast: bool
    scaling_factor: float
    latents_mean: tuple[float, ...] | None
    latents_std: tuple[float, ...] | None
    layout: Mapping[str, Any]

    @classmethod
    def of(cls, job: Job) -> Self:
        """The details of the job's model."""
        return cls(**job.plan.detected.details)


def vae_factor(vae: Mapping[str, Any]) -> int:
    """How many pixels a latent's side covers."""
    return int(2 ** (len(vae["block_out_channels"]) - 1))


def read_details(
    architecture: Architecture,
    *,
    unet: Mapping[str, Any],
    vae: Mapping[str, Any],
    encoders: Mapping[str, Mapping[str, Any]],
    index: Mapping[str, Any],
    prediction: str,
    tokens: int,
) -> Details:
    """The details as the components' configurations give them, with diffusers' defaults."""
    return Details(
        architecture=architecture.name,
        prediction=prediction,
        channels=int(unet.get("in_channels", 4)),
        latent_channels=int(vae.get("latent_channels", 4)),
        factor=vae_factor(vae),
        tokens=tokens,
        zero_empty_negative=architecture.text_time and bool(index.get("force_zeros_for_empty_prompt", True)),
        aesthetic=bool(index.get("requires_aesthetics_score", False)),
        force_upcast=architecture.text_time and bool(vae.get("force_upcast", True)),
        scaling_factor=float(vae.get("scaling_factor", 0.18215)),
        latents_mean=_floats(vae.get("latents_mean")),
        latents_std=_floats(vae.get("latents_std")),
        layout=read_layout(unet, vae, encoders),
    )


def as_detected(
    details: Details,
    *,
    parts: Mapping[str, Mapping[str, int]],
    model_range: ModelRange,
    size: tuple[int, int],
) -> Detected:
    """What the host is told; `parts` maps each component to its tensors' sizes.

    The variant reads "sd1", "sd2-v", "sdxl-inpaint" …
    """
    inpaint = details.channels == 2 * details.latent_channels + 1
    marks = [details.architecture, *([INPAINT] if inpaint else [])]
    marks += ["v"] if details.prediction == "v_prediction" else []
    return Detected(
        variant="-".join(marks),
        components={part: sum(sizes.values()) for part, sizes in parts.items()},
        largest=largest_blocks(parts),
        model_range=model_range,
        size=size,
        multiple=details.factor,
        features=frozenset({FEATURE, UNGUIDED.name, latent_space(details), *([INPAINT] if inpaint else [])}),
        details=asdict(details),
    )


def latent_space(details: Details) -> str:
    """The word by which stages know that models share their latents: what the VAE's configuration says."""
    numbers = (details.latent_channels, details.factor, details.scaling_factor)
    shift = [each for each in (details.latents_mean, details.latents_std) if each]
    return f"latents:{'/'.join(map(str, (*numbers, *shift)))}"


def _floats(values: Any) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values)
