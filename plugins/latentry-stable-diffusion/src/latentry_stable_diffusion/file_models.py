"""Open the models of a single file in the original layout, with the configurations shipped here."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from latentry_sdk import Detected, ModelHeader
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.fitting import fits, reject_missing


def open_file(header: ModelHeader, detected: Detected, *, configs: Path | None = None) -> Mapping[str, Any]:
    """diffusers' and transformers' models by part; `configs` is another folder of configurations."""
    from safetensors.torch import load_file

    details = Details(**detected.details)
    folder = str(configs or ARCHITECTURES[details.architecture].configs)
    with fits(header, "file"):
        tensors = load_file(header.path)
    models: dict[str, Any] = {}
    for part in ARCHITECTURES[details.architecture].encoders:
        with fits(header, part):
            models[part] = _text_encoder(part, tensors, folder)
    with fits(header, "unet"):
        models["unet"] = _unet(tensors, folder, details.channels)
    with fits(header, "vae"):
        models["vae"] = _vae(tensors, folder)
    return models


def _text_encoder(part: str, tensors: Mapping[str, Any], folder: str) -> Any:
    import torch
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if part == "text_encoder_2" else CLIPTextModel
    model = create_diffusers_clip_model_from_ldm(
        kind, tensors, subfolder=part, config=folder, torch_dtype=torch.float32, local_files_only=True
    )
    return _whole(model)


def _unet(tensors: Mapping[str, Any], folder: str, channels: int) -> Any:
    import torch
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel.from_single_file(
        tensors,
        config=folder,
        subfolder="unet",
        in_channels=channels,
        local_files_only=True,
        torch_dtype=torch.float32,
    )
    return _whole(model)


def _vae(tensors: Mapping[str, Any], folder: str) -> Any:
    import torch
    from diffusers import AutoencoderKL

    model = AutoencoderKL.from_single_file(
        tensors, config=folder, subfolder="vae", local_files_only=True, torch_dtype=torch.float32
    )
    return _whole(model)


def _whole(model: Any) -> Any:
    """The model, if every weight came: diffusers leaves missing ones on the meta device without a word."""
    named = chain(model.named_parameters(), model.named_buffers())
    reject_missing(name for name, tensor in named if tensor.is_meta)
    return model
