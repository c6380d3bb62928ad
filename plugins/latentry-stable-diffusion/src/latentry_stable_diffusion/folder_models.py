"""Open the models of a diffusers folder: known classes, safetensors only, nothing fetched.

Weights keep the types that they have in the files.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from latentry_sdk import Detected, ModelHeader
from latentry_stable_diffusion.fitting import fits, reject_missing
from latentry_stable_diffusion.stored import open_unfilled, stored_by


def open_folder(header: ModelHeader, detected: Detected) -> Mapping[str, Any]:
    """diffusers' and transformers' models by part: the text encoders, "unet" and "vae"."""
    parts = [name for name in detected.components if not name.startswith("vae_")]
    with without_bars():
        return {part: _open(header, part) for part in (*parts, "vae")}


@contextmanager
def without_bars() -> Iterator[None]:
    """While this lasts, transformers draws no progress bars; afterwards as before."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _open(header: ModelHeader, part: str) -> Any:
    from latentry_sdk.torch_copies import stored_dtype

    header.config(part)  # refuses code, in case the file changed since detection
    kind, dtype = _class_of(part)
    if stored_by(header, part):
        with fits(header, part):
            return open_unfilled(header, part, kind)
    variant = "fp16" if ".fp16" in header.weight_files(part)[0].name else None
    with fits(header, part):
        model, info = kind.from_pretrained(
            str(header.path),
            subfolder=part,
            variant=variant,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **{dtype: stored_dtype(header.tensors(part).values())},
        )
        reject_missing(info["missing_keys"])
    return model


def _class_of(part: str) -> tuple[Any, str]:
    """The class of a part, and its name for the number type."""
    if part == "text_encoder":
        from transformers import CLIPTextModel

        return CLIPTextModel, "dtype"
    if part == "text_encoder_2":
        from transformers import CLIPTextModelWithProjection

        return CLIPTextModelWithProjection, "dtype"
    from diffusers import AutoencoderKL, UNet2DConditionModel

    return {"unet": UNet2DConditionModel, "vae": AutoencoderKL}[part], "torch_dtype"
