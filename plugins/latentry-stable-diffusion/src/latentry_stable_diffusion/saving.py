"""Write a checkpoint whose components are stored quantized: a folder like the one they come from."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component, InvalidRequest, Plan, write_whole
from latentry_stable_diffusion.stored import KEY, OURS, folder_of

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")
START = "model."


def save(plan: Plan, folder: Path) -> Mapping[str, int]:
    """Write the plan's model to a new `folder`, with the components that the plan quantizes stored so.

    Gives the bytes of each part that was written anew. Raises `InvalidRequest` for a single file, for a
    folder that is there already, and where one half of the VAE would have another scheme than the other.
    """
    header = plan.header
    if not header.is_folder:
        raise InvalidRequest("only a diffusers folder can be stored quantized", fix="convert the file first")
    if folder.exists():
        raise InvalidRequest(f"{folder.name} is there already", fix="name another folder")
    labels = _labels(plan)
    components = plan.family.load(header, plan.detected)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as made:
        copy = Path(made) / folder.name
        shutil.copytree(header.path, copy)
        sizes = {part: _write(_tensors(part, components, plan), copy / part, labels[part]) for part in labels}
        os.rename(copy, folder)
    return sizes


def _labels(plan: Plan) -> dict[str, str]:
    """The scheme of each part that is quantized, by its folder."""
    labels: dict[str, str] = {}
    for component, (spec, scheme) in plan.quantizers.items():
        label = f"{spec.name}:{scheme}"
        if labels.setdefault(folder_of(component), label) != label:
            raise InvalidRequest("the VAE's halves cannot be stored by two schemes")
    return labels


def _tensors(part: str, components: Mapping[str, Component], plan: Plan) -> "dict[str, Tensor]":
    """The tensors of all components in the part's folder, under the names that diffusers has for them."""
    found: dict[str, Tensor] = {}
    for name, component in components.items():
        if folder_of(name) == part:
            spec, scheme = plan.quantizers.get(name, (None, ""))
            module = spec.apply(component, scheme).module if spec else component.module
            found |= {key: value for key, value in module.state_dict().items() if key.startswith(START)}
    return {key.removeprefix(START): value.contiguous() for key, value in found.items()}


def _write(tensors: "dict[str, Tensor]", folder: Path, label: str) -> int:
    from safetensors.torch import save as as_bytes

    for pattern in WEIGHTS:
        for file in folder.glob(pattern):
            file.unlink()
    quantizer, _, scheme = label.partition(":")
    config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    config[KEY] = {"quant_method": OURS, "quantizer": quantizer, "scheme": scheme}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    text = folder.name.startswith("text_encoder")
    data = as_bytes(tensors, metadata={"format": "pt"})
    write_whole(folder / ("model.safetensors" if text else "diffusion_pytorch_model.safetensors"), data)
    return len(data)
