"""What a torch module is at a moment, to the bit, so that what was left behind in it can be named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

APART = frozenset({"_parameters", "_buffers", "_modules"})
PLAIN = (int, float, complex, str, bytes, bool, type(None))


@dataclass(frozen=True, eq=False)
class Same:
    """A value that equals itself alone; it is kept, so that no other one takes its place in memory."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]


def fingerprint(module: "Module") -> Mapping[str, Any]:
    """All that a module and those in it are, by dotted names.

    Weights and buffers with type, shape, strides, place and every bit; attributes, hooks and attention
    processors, by identity where they are no plain values.
    """
    return dict(_of_modules(module))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names that are in one only, or stand for something else."""
    return sorted(
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or before[name] != after[name]
    )


def _of_modules(module: "Module") -> Iterator[tuple[str, Any]]:
    for path, part in module.named_modules(remove_duplicate=False):
        at = f"{path}." if path else ""
        yield f"{at}(class)", Same(type(part))
        yield f"{at}(parts)", [(name, Same(child)) for name, child in part._modules.items()]
        for kind in ("_parameters", "_buffers"):
            yield f"{at}{kind}", list(getattr(part, kind))
            for name, tensor in getattr(part, kind).items():
                yield f"{at}{name}", None if tensor is None else _of_tensor(tensor)
        for name, value in vars(part).items():
            if name not in APART:
                yield f"{at}{name}", _of_value(value)


def _of_tensor(tensor: "Tensor") -> Any:
    about = type(tensor), str(tensor.dtype), tuple(tensor.shape), str(tensor.device), tensor.requires_grad
    try:
        return *about, tensor.stride(), sha256(_bits(tensor)).hexdigest()
    except (RuntimeError, NotImplementedError, TypeError):  # a tensor that has no storage of its own
        return *about, Same(tensor)


def _bits(tensor: "Tensor") -> bytes:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _of_value(value: Any) -> Any:
    """Plain values as they are, containers by their contents, everything else by identity."""
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, Mapping):
        return [(_of_value(key), _of_value(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_of_value(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return Same(value)
