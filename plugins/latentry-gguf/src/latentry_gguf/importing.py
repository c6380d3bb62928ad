"""Take a UNet out of a GGUF file, in its blocks, into a copy of a diffusers folder."""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_gguf.codecs import readers
from latentry_sdk import InvalidModel, InvalidRequest, ModelHeader, write_whole

if TYPE_CHECKING:
    from torch import Tensor

UNET = "unet"
PREFIX = "model.diffusion_model."
PLAIN = ("F32", "F16", "BF16")
SAID = {"quant_method": "latentry", "quantizer": "gguf", "scheme": "stored"}


def write_with(file: Path, base: ModelHeader, folder: Path) -> Mapping[str, int]:
    """Write `base` with the file's UNet to a new `folder`, and say how many tensors of which type it has.

    Raises `InvalidModel` where the file is damaged or holds another UNet than the base's.
    """
    if folder.exists():
        raise InvalidRequest(f"{folder.name} is there already", fix="name another folder")
    read = read_unet(file, base.config(UNET))
    _check_same(read, base, file)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as made:
        copy = Path(made) / folder.name
        shutil.copytree(base.path, copy)
        _replace_unet(copy / UNET, _tensors(read))
        os.rename(copy, folder)
    return Counter(tensor.tensor_type.name for tensor in read.values())


def read_unet(file: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tensors in a GGUF file, by diffusers' names; the file may have the original layout's."""
    from gguf import GGUFReader

    if not file.is_file():
        raise InvalidModel(f"{file.name} is no file")
    try:
        found = {tensor.name: tensor for tensor in GGUFReader(file).tensors}
    except (ValueError, KeyError, IndexError, TypeError, OverflowError) as exc:
        raise InvalidModel(f"{file.name} is no GGUF file, or cut short") from exc
    if not any(name.removeprefix(PREFIX).startswith("input_blocks.") for name in found):
        return found
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    original = {f"{PREFIX}{name.removeprefix(PREFIX)}": tensor for name, tensor in found.items()}
    return dict(convert_ldm_unet_checkpoint(original, config))


def _check_same(read: Mapping[str, Any], base: ModelHeader, file: Path) -> None:
    wanted = {name: prod(tensor.shape) for name, tensor in base.tensors(UNET).items()}
    found = {name: prod(int(side) for side in tensor.shape) for name, tensor in read.items()}
    if found != wanted:
        wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        raise InvalidModel(f"{file.name} holds another UNet than {base.path.name}: {wrong[0]} differs")
    known = {*PLAIN, *(kind.name for kind in readers())}
    if strange := sorted({tensor.tensor_type.name for tensor in read.values()} - known):
        raise InvalidModel(f"{file.name} holds blocks that are not read: {', '.join(strange)}")


def _tensors(read: Mapping[str, Any]) -> "dict[str, Tensor]":
    """Plain tensors as they are, blocks as bytes under a name with their type."""
    import torch

    found: dict[str, Tensor] = {}
    for name, tensor in read.items():
        data, kind = torch.from_numpy(tensor.data.copy()), tensor.tensor_type.name
        if kind == "BF16":
            data = data.view(torch.bfloat16)
        shape = [int(side) for side in reversed(tensor.shape)]
        found[name if kind in PLAIN else f"{name}.{kind.lower()}"] = (
            data.reshape(shape) if kind in PLAIN else data.reshape(shape[0], -1)
        )
    return found


def _replace_unet(folder: Path, tensors: "dict[str, Tensor]") -> None:
    from safetensors.torch import save

    for pattern in ("*.safetensors", "*.bin", "*.index.json"):
        for file in folder.glob(pattern):
            file.unlink()
    config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    text = json.dumps({**config, "quantization_config": SAID}, indent=2)
    (folder / "config.json").write_text(text, encoding="utf-8")
    write_whole(folder / "diffusion_pytorch_model.safetensors", save(tensors, metadata={"format": "pt"}))
