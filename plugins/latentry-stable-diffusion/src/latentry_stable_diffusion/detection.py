"""Recognise a checkpoint of the family by its headers and configuration."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from latentry_sdk import Detected, InvalidModel, ModelHeader, TensorInfo, read_config
from latentry_stable_diffusion.architectures import (
    CONV_IN,
    SD2,
    UNET,
    VAE,
    Architecture,
    by_config,
    by_shapes,
)
from latentry_stable_diffusion.details import Details, as_detected, read_details, vae_factor
from latentry_stable_diffusion.noise_levels import model_range
from latentry_stable_diffusion.prediction import EPSILON, VELOCITY, prediction_of
from latentry_stable_diffusion.stored import folder_of, stored_parts, weights_of

CLASSES = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
}
UNSUPPORTED = ("time_cond_proj_dim", "class_embed_type", "num_class_embeds", "encoder_hid_dim_type")
DEPTHS = ("num_hidden_layers", "layers_per_block", "transformer_layers_per_block")
Parts = dict[str, dict[str, int]]
"""The sizes of each component's tensors, by their names."""

DECODER = ("decoder.", "post_quant_conv.")


def detect(header: ModelHeader) -> Detected | None:
    """What the checkpoint is, or None where it is not one of the family."""
    return _detect_folder(header) if header.is_folder else _detect_file(header)


def _detect_folder(header: ModelHeader) -> Detected | None:
    parts = _parts(header.index)
    encoders = frozenset(part for part in parts if part.startswith("text_encoder"))
    if not {"unet", "vae"} <= parts:
        return None
    try:
        return _describe_folder(header, encoders)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as exc:
        raise InvalidModel(f"{header.path.name}: its configuration lacks or mistypes {exc}") from exc


def _parts(index: Mapping[str, Any]) -> set[str]:
    """The parts that are of the family's own classes; none at all where one is of another class."""
    named = {name: index[name][-1] for name in CLASSES if isinstance(index.get(name), list) and index[name]}
    parts = {name: kind for name, kind in named.items() if kind is not None}
    return set(parts) if all(kind == CLASSES[name] for name, kind in parts.items()) else set()


def _describe_folder(header: ModelHeader, encoders: frozenset[str]) -> Detected | None:
    unet, vae, scheduler = (header.config(part) for part in ("unet", "vae", "scheduler"))
    tensors = {part: header.tensors(part) for part in (*sorted(encoders), "unet", "vae")}
    for part in tensors:
        _check_depth(header, part, len(tensors[part]))
    architecture = by_config(unet, encoders)
    prediction = scheduler.get("prediction_type", EPSILON)
    if architecture is None or not _is_supported(unet, scheduler) or prediction not in (EPSILON, VELOCITY):
        return None
    texts = {name: header.config(name) for name in sorted(encoders)}
    details = read_details(
        architecture,
        unet=unet,
        vae=vae,
        encoders=texts,
        index=header.index,
        prediction=prediction,
        tokens=min(int(text.get("max_position_embeddings", 77)) for text in texts.values()),
    )
    if details.channels not in (details.latent_channels, 2 * details.latent_channels + 1):
        return None
    quantized = stored_parts(header, tensors)
    found = as_detected(
        details,
        parts=_folder_parts(tensors, {folder_of(part): label for part, label in quantized.items()}),
        model_range=model_range(scheduler),
        size=_native_size(unet, vae),
    )
    return replace(found, quantized=quantized)


def _check_depth(header: ModelHeader, part: str, tensors: int) -> None:
    """Refuse more layers than the part has tensors: they would be built before that fails."""
    config = header.config(part)
    if any(count > tensors for name in DEPTHS for count in _counts(config.get(name, 0))):
        raise InvalidModel(f"{header.path.name}: {part} asks for more layers than it has tensors")


def _counts(value: Any) -> list[float]:
    """The numbers in a number, or in lists of them."""
    if isinstance(value, list):
        return [count for item in value for count in _counts(item)]
    return [value] if isinstance(value, int | float) else []


def _is_supported(unet: Mapping[str, Any], scheduler: Mapping[str, Any]) -> bool:
    """Whether the UNet takes no more than we give it, and noise is added as x0 + sigma n."""
    plain = all(unet.get(name) is None for name in UNSUPPORTED)
    addition = unet.get("addition_embed_type") in (None, "text_time")
    gated = unet.get("attention_type", "default") != "default"
    foreign = str(scheduler.get("_class_name")).startswith(("EDM", "Flow"))
    return plain and addition and not gated and not foreign


def _native_size(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height); a `sample_size` of two is (height, width)."""
    sample = unet.get("sample_size") or 64
    height, width = sample if isinstance(sample, list) else (sample, sample)
    return int(width) * vae_factor(vae), int(height) * vae_factor(vae)


def _folder_parts(tensors: Mapping[str, Mapping[str, TensorInfo]], labels: Mapping[str, str]) -> Parts:
    counts = {
        part: {name: weights_of(tensor, labels.get(part)) for name, tensor in found.items()}
        for part, found in tensors.items()
    }
    return {part: counts[part] for part in counts if part != "vae"} | _halves(counts["vae"])


def _halves(counts: Mapping[str, int]) -> Parts:
    decoder = {name: count for name, count in counts.items() if name.startswith(DECODER)}
    encoder = {name: count for name, count in counts.items() if name not in decoder}
    return {"vae_encoder": encoder, "vae_decoder": decoder}


def _detect_file(header: ModelHeader) -> Detected | None:
    shapes = {name: tensor.shape for name, tensor in header.tensors().items()}
    architecture = by_shapes(shapes)
    channels = shapes.get(CONV_IN, (0, 0))[1]
    if architecture is None or channels not in (4, 9):
        return None
    prediction = prediction_of(header, architecture, channels)
    counts = {name: prod(shape) for name, shape in shapes.items()}
    size = 768 if architecture is SD2 and prediction == VELOCITY else architecture.size
    return as_detected(
        _shipped_details(architecture, channels, prediction),
        parts=_file_parts(counts, architecture.encoders),
        model_range=model_range({"rescale_betas_zero_snr": "ztsnr" in shapes}),
        size=(size, size),
    )


def _shipped_details(architecture: Architecture, channels: int, prediction: str) -> Details:
    unet, vae = (read_config(architecture.configs / part / "config.json") for part in ("unet", "vae"))
    index = read_config(architecture.configs / "model_index.json")
    texts = {name: read_config(architecture.configs / name / "config.json") for name in architecture.encoders}
    details = read_details(
        architecture, unet=unet, vae=vae, encoders=texts, index=index, prediction=prediction, tokens=77
    )
    return replace(details, channels=channels)


def _file_parts(counts: Mapping[str, int], encoders: Mapping[str, str]) -> Parts:
    prefixes = {**encoders, "unet": UNET}
    parts = {
        part: {name: count for name, count in counts.items() if name.startswith(prefix)}
        for part, prefix in prefixes.items()
    }
    vae = {name.removeprefix(VAE): count for name, count in counts.items() if name.startswith(VAE)}
    return parts | _halves(vae)
