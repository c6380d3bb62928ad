"""Open the models of a single file in the original layout, with the configurations shipped here.

Weights keep the types that they have in the file.
"""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_sdk import Detected, ModelHeader, TensorInfo
from latentry_stable_diffusion.architectures import ARCHITECTURES, UNET, VAE
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.fitting import fits, reject_missing

if TYPE_CHECKING:
    import torch


def open_file(header: ModelHeader, detected: Detected, *, configs: Path | None = None) -> Mapping[str, Any]:
    """diffusers' and transformers' models by part; `configs` is another folder of configurations."""
    from safetensors.torch import load_file

    details = Details(**detected.details)
    architecture = ARCHITECTURES[details.architecture]
    folder = str(configs or architecture.configs)
    with fits(header, "file"):
        tensors, infos = load_file(header.path), header.tensors()
    models: dict[str, Any] = {}
    for part, prefix in architecture.encoders.items():
        with fits(header, part):
            models[part] = _text_encoder(part, tensors, folder, _stored(infos, prefix))
    with fits(header, "unet"):
        models["unet"] = _unet(tensors, folder, details.channels, _stored(infos, UNET))
    with fits(header, "vae"):
        models["vae"] = _vae(tensors, folder, _stored(infos, VAE))
    return models


def _stored(infos: Mapping[str, TensorInfo], prefix: str) -> "torch.dtype":
    """The type of the weights whose names begin so."""
    from latentry_sdk.torch_copies import stored_dtype

    return stored_dtype(info for name, info in infos.items() if name.startswith(prefix))


def _text_encoder(part: str, tensors: Mapping[str, Any], folder: str, dtype: "torch.dtype") -> Any:
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if part == "text_encoder_2" else CLIPTextModel
    model = create_diffusers_clip_model_from_ldm(
        kind, tensors, subfolder=part, config=folder, torch_dtype=dtype, local_files_only=True
    )
    return _whole(model)


def _unet(tensors: Mapping[str, Any], folder: str, channels: int, dtype: "torch.dtype") -> Any:
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel.from_single_file(
        tensors,
        config=folder,
        subfolder="unet",
        in_channels=channels,
        local_files_only=True,
        torch_dtype=dtype,
    )
    return _whole(model)


def _vae(tensors: Mapping[str, Any], folder: str, dtype: "torch.dtype") -> Any:
    from diffusers import AutoencoderKL

    model = AutoencoderKL.from_single_file(
        tensors, config=folder, subfolder="vae", local_files_only=True, torch_dtype=dtype
    )
    return _whole(model)


def _whole(model: Any) -> Any:
    """The model, if every weight came: diffusers leaves missing ones on the meta device without a word."""
    named = chain(model.named_parameters(), model.named_buffers())
    reject_missing(name for name, tensor in named if tensor.is_meta)
    return model
