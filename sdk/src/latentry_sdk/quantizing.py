"""Components whose layers keep their weights in fewer bits: what most quantizers are made of."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from latentry.errors import InvalidModel
from latentry.types import Component
from latentry_sdk.packed import Codec, Kept, keeping, layers, packed, packed_layers

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["Codec", "Kept", "layers", "packed_layers", "quantized", "replaced", "size_of", "unfilled"]


def quantized(component: Component, codec: Codec, label: str) -> Component:
    """The component with its linear and convolution layers packed by `codec`, in a module of its own.

    Where the component is stored quantized, its layers are filled with what is stored. `label` is all that
    tells this one from others in the digest: "quanto:int8".
    Raises `InvalidModel` for stored tensors that do not fit.
    """
    import torch

    digest = component.digest
    with torch.inference_mode(False), torch.no_grad():
        if component.stored is None:
            module = replaced(component.module, lambda _name, layer: packed(layer, codec))
        else:
            module = _filled(component, codec, component.stored())
    return replace(
        component,
        module=module,
        digest=lambda: sha256(f"{digest()} {label}".encode()).hexdigest(),
        stored=None,
    )


def replaced(module: "Module", make: "Callable[[str, Any], Module | None]") -> "Module":
    """A copy of a module in which `make(name, layer)` gives another layer, or None to copy that one.

    The weights of layers that are replaced are never copied. The module stays as it is.
    """
    others = {id(layer): made for name, layer in layers(module) if (made := make(name, layer)) is not None}
    return copy.deepcopy(module, others)


def unfilled(module: "Module", stored: Mapping[str, "Tensor"]) -> "Module":
    """A copy of a module with the stored tensors that fit it, and without weights (on meta) where none do.

    That is what a component's module is while its tensors are `stored` quantized. What a checkpoint does not
    hold, as positions, is copied.
    """
    import torch

    saved = module.state_dict()
    memo: dict[int, Any] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        found = stored.get(name)
        if found is None or not _plain(found, tensor):
            found = tensor.to("meta") if name in saved else tensor.clone()
        own = isinstance(tensor, torch.nn.Parameter)
        memo[id(tensor)] = torch.nn.Parameter(found, requires_grad=False) if own else found
    return copy.deepcopy(module, memo)


def size_of(module: "Module") -> int:
    """The bytes of all parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def _plain(found: "Tensor", tensor: "Tensor") -> bool:
    same = found.shape == tensor.shape and found.is_floating_point() == tensor.is_floating_point()
    return same and found.element_size() > 1


def _filled(component: Component, codec: Codec, stored: Mapping[str, "Tensor"]) -> "Module":
    groups = _groups(stored, {name for name, layer in layers(component.module) if layer.weight.is_meta})

    def fill(name: str, layer: Any) -> Any:
        if name not in groups:
            return None
        return keeping(layer, codec, codec.adopt(groups[name], tuple(layer.weight.shape)))

    try:
        module = replaced(component.module, fill)
    except (KeyError, ValueError, RuntimeError) as exc:
        raise InvalidModel(f"the stored {component.name} does not fit: {exc}") from exc
    if missing := [name for name, tensor in module.state_dict().items() if tensor.is_meta]:
        raise InvalidModel(f"the stored {component.name} lacks {len(missing)} tensors, such as {missing[0]}")
    return module


def _groups(stored: Mapping[str, "Tensor"], names: set[str]) -> dict[str, dict[str, "Tensor"]]:
    """What is stored of each of these layers but its bias, by the rest of the name."""
    groups: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    for key, tensor in stored.items():
        parts = key.split(".")
        starts = (".".join(parts[:end]) for end in range(1, len(parts)))
        owner = next((start for start in starts if start in names), None)
        if owner is not None and (rest := key[len(owner) + 1 :]) != "bias":
            groups[owner][rest] = tensor
    return groups
