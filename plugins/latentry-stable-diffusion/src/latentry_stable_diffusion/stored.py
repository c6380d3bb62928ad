"""Parts of a folder that are stored quantized: how they are told, and how they are opened without weights."""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidModel, ModelHeader, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

OURS = "latentry"
KEY = "quantization_config"
HALVES = ("vae_encoder", "vae_decoder")
ENDINGS = {
    ".weight.quant_state.bitsandbytes__nf4": "bitsandbytes:nf4",
    ".weight.quant_state.bitsandbytes__fp4": "bitsandbytes:fp4",
    ".SCB": "bitsandbytes:int8",
    ".weight._data._data": "quanto:int4",
}
"""Ends of names of tensors that only one scheme stores."""


def stored_by(header: ModelHeader, part: str) -> str | None:
    """The "quantizer:scheme" that a folder's part is stored by, or None where its weights are plain numbers.

    Read from its configuration, or from its tensors' names. `InvalidModel` for a way that is not known.
    """
    said, tensors = header.config(part).get(KEY), header.tensors(part)
    if said is not None:
        return _said(said, header, part)
    found = (label for name in tensors for end, label in ENDINGS.items() if name.endswith(end))
    return next(found, None)


def stored_parts(header: ModelHeader, parts: Mapping[str, Any]) -> dict[str, str]:
    """What components are stored by, those that are stored quantized; the VAE's halves have one folder."""
    found = {part: label for part in parts if (label := stored_by(header, part))}
    if vae := found.pop("vae", None):
        found |= dict.fromkeys(HALVES, vae)
    return found


def weights_of(info: TensorInfo, label: str | None) -> int:
    """How many weights a tensor holds: two in a byte where it is stored in 4 bits."""
    return prod(info.shape) * (2 if label and label.endswith("4") and info.dtype == "U8" else 1)


def folder_of(component: str) -> str:
    """The folder of a component: both halves of the VAE have one."""
    return "vae" if component in HALVES else component


def tensors_of(header: ModelHeader, component: str) -> "dict[str, Tensor]":
    """The stored tensors by the names that the component's module has for them; plain ones in float32."""
    from safetensors.torch import load_file

    part = folder_of(component)
    found: dict[str, Tensor] = {}
    for file in header.weight_files(part):
        found |= load_file(file)
    return {f"model.{_name(name, part)}": _wide(tensor) for name, tensor in found.items()}


def open_unfilled(header: ModelHeader, part: str, kind: Any) -> Any:
    """A model of class `kind` with the tensors that are stored plainly, and no weights for the others."""
    from accelerate import init_empty_weights

    from latentry_sdk.quantizing import unfilled

    config = {name: value for name, value in header.config(part).items() if name != KEY}
    with init_empty_weights(include_buffers=False):  # positions are counted, not stored
        model = kind.from_config(config) if hasattr(kind, "from_config") else _of_text(kind, config)
    start = len("model.")
    return unfilled(model, {name[start:]: tensor for name, tensor in tensors_of(header, part).items()})


def _of_text(kind: Any, config: Mapping[str, Any]) -> Any:
    return kind(kind.config_class.from_dict(dict(config)))


def _name(name: str, part: str) -> str:
    return name.removeprefix("text_model.") if part == "text_encoder" else name


def _wide(tensor: "Tensor") -> "Tensor":
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() > 1 else tensor


def _said(said: Any, header: ModelHeader, part: str) -> str:
    """Our own word for it, or that of diffusers' configuration."""
    words: Mapping[str, Any] = said if isinstance(said, dict) else {}
    method = str(words.get("quant_method"))
    schemes = {
        OURS: f"{words.get('quantizer')}:{words.get('scheme')}",
        "bitsandbytes": f"bitsandbytes:{_bits(words)}",
        "quanto": f"quanto:{words.get('weights_dtype')}",
        "sdnq": f"sdnq:{words.get('weights_dtype')}",
    }
    if method not in schemes:
        raise InvalidModel(f"{header.path.name}: its {part} is quantized in an unknown way, {method!a}")
    return schemes[method]


def _bits(words: Mapping[str, Any]) -> str:
    return "int8" if words.get("load_in_8bit") else str(words.get("bnb_4bit_quant_type", "fp4"))
