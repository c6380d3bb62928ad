"""Open a folder's models and hand the whole pipeline over as one component, on the CPU."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest, sha256
from importlib import import_module
from typing import Any, NoReturn

from latentry_diffusers.parts import LIBRARIES, models, parts
from latentry_sdk import Component, Detected, InvalidModel, LatentryError, ModelHeader, Unavailable


def load(header: ModelHeader, detected: Detected) -> Mapping[str, Component]:
    """The component "pipeline"; `InvalidModel` where the folder does not fit its configuration."""
    from latentry_diffusers.whole import whole

    with _quiet(), _fits(header):
        module = whole(_opened(header, detected.variant))
    return {"pipeline": Component("pipeline", "torch", module, _example, partial(_digest, header))}


def _opened(header: ModelHeader, named: str) -> Any:
    import diffusers

    kind = getattr(diffusers, named)
    found = parts(header)  # refuses code, in case the folder changed since detection
    made = {name: _model(header, name, *found[name]) for name in models(header)}
    return kind.from_pretrained(str(header.path), local_files_only=True, use_safetensors=True, **made)


def _model(header: ModelHeader, name: str, library: str, kind: str) -> Any:
    """A model with all its weights, as they are stored: what is missing would otherwise be made up.

    transformers works out buffers in the type that it reads weights in, so those are narrowed afterwards.
    """
    import torch

    from latentry_sdk.torch_copies import stored_dtype

    stored, is_text = stored_dtype(header.tensors(name).values()), library == "transformers"
    module = import_module(library if library in LIBRARIES else f"diffusers.pipelines.{library}")
    variant = "fp16" if ".fp16" in header.weight_files(name)[0].name else None
    model, info = getattr(module, kind).from_pretrained(
        str(header.path),
        subfolder=name,
        variant=variant,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        **({"dtype": torch.float32} if is_text else {"torch_dtype": stored}),
    )
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{len(missing)} tensors of {name} are missing, among them {missing[0]}")
    for weight in model.parameters() if is_text else ():
        weight.data = weight.data.to(stored)
    return model


@contextmanager
def _fits(header: ModelHeader) -> Iterator[None]:
    try:
        yield
    except (LatentryError, MemoryError, ImportError):
        raise
    except Exception as exc:
        reason = " ".join(str(exc).split())[:200]
        raise InvalidModel(
            f"{header.path.name} is damaged or does not fit its configuration: {reason}",
            fix="fetch the model again",
        ) from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """While this lasts, neither library draws progress bars; afterwards as before."""
    from diffusers.utils import logging as ours
    from transformers.utils import logging as theirs

    shown = [each for each in (ours, theirs) if each.is_progress_bar_enabled()]
    for each in shown:
        each.disable_progress_bar()
    try:
        yield
    finally:
        for each in shown:
            each.enable_progress_bar()


def _example() -> NoReturn:
    raise Unavailable("a whole pipeline cannot be converted", fix="place it on a device that runs torch")


def _digest(header: ModelHeader) -> str:
    """SHA-256 of all files of the folder, with their names."""
    total = sha256()
    for file in sorted(path for path in header.path.rglob("*") if path.is_file()):
        total.update(str(file.relative_to(header.path)).encode())
        with file.open("rb") as opened:
            total.update(file_digest(opened, "sha256").digest())
    return total.hexdigest()
