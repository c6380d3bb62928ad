"""Open a checkpoint's weights and hand its components over, on the CPU in the types they are stored in."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component, Detected, ModelHeader
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.file_models import open_file
from latentry_stable_diffusion.folder_models import open_folder
from latentry_stable_diffusion.stored import tensors_of

if TYPE_CHECKING:
    from torch import Tensor

Models = Mapping[str, Any]
Example = Callable[[], "tuple[Tensor, ...]"]


def load(header: ModelHeader, detected: Detected) -> Mapping[str, Component]:
    """The text encoders, the UNet and both halves of the VAE; `InvalidModel` where weights do not fit."""
    import torch

    with torch.inference_mode(False):  # a job's own: what it makes could not be changed outside of it
        models = open_folder(header, detected) if header.is_folder else open_file(header, detected)
        return as_components(models, header, detected)


def as_components(models: Models, header: ModelHeader, detected: Detected) -> Mapping[str, Component]:
    """Wrap diffusers' and transformers' models."""
    from latentry_stable_diffusion import modules

    penultimate = ARCHITECTURES[Details(**detected.details).architecture].text_time
    made = {
        name: modules.text_encoder(model, penultimate=penultimate)
        for name, model in models.items()
        if name.startswith("text_encoder")
    }
    made["unet"] = modules.unet(models["unet"])
    made["vae_encoder"] = modules.vae_encoder(models["vae"])
    made["vae_decoder"] = modules.vae_decoder(models["vae"])
    examples, digest = _examples(models, detected), _digest(header)
    stored = {name: partial(tensors_of, header, name) for name in detected.quantized}
    return {
        name: Component(name, "torch", module, examples[name], partial(digest, name), stored=stored.get(name))
        for name, module in made.items()
    }


def _examples(models: Models, detected: Detected) -> Mapping[str, Example]:
    import torch

    details = Details(**detected.details)
    width, height = detected.size
    channels, tokens = details.latent_channels, details.tokens
    latents = (height // details.factor, width // details.factor)
    config = models["unet"].config  # not the model: the example would keep its weights

    def ids() -> "tuple[Tensor, ...]":
        return (torch.ones(1, tokens, dtype=torch.int64),)

    def pixels() -> "tuple[Tensor, ...]":
        return (torch.zeros(1, 3, height, width),)

    def encoded() -> "tuple[Tensor, ...]":
        return (torch.zeros(1, channels, *latents),)

    def noisy() -> "tuple[Tensor, ...]":
        text = torch.zeros(2, tokens, config.cross_attention_dim)
        plain = (torch.zeros(2, details.channels, *latents), torch.tensor([500.0]), text)
        return plain + _added(config, details)

    return {
        "text_encoder": ids,
        "text_encoder_2": ids,
        "unet": noisy,
        "vae_encoder": pixels,
        "vae_decoder": encoded,
    }


def _added(config: Any, details: Details) -> "tuple[Tensor, ...]":
    """The pooled prompt and the size's numbers, for the UNets that take them."""
    import torch

    if config.addition_embed_type is None:
        return ()
    numbers = 5 if details.aesthetic else 6
    pooled = config.projection_class_embeddings_input_dim - numbers * config.addition_time_embed_dim
    return torch.zeros(2, pooled), torch.zeros(2, numbers)


def _digest(header: ModelHeader) -> Callable[[str], str]:
    """SHA-256 of a component's files and its name; a single file is read once for all of them."""

    @cache
    def of_file(path: Path) -> bytes:
        with path.open("rb") as file:
            return file_digest(file, "sha256").digest()

    def of_component(name: str) -> str:
        part = "vae" if name.startswith("vae_") else name
        files = [header.path]
        if header.is_folder:
            files = [*header.weight_files(part), header.path / part / "config.json"]
        return sha256(b"".join(map(of_file, files)) + name.encode()).hexdigest()

    return of_component
