"""What all devices that torch reaches have in common; a plugin says what sets its own apart."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry.errors import Unavailable
from latentry.types import Component, Memory
from latentry_sdk.managed import Settling
from latentry_sdk.memory import memory_of
from latentry_sdk.torch_copies import STORED, cast_copy, changing, narrows, stored_copy
from latentry_sdk.torch_placed import Caller, TorchModule

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TorchPlace:
    """What sets one torch device apart from another.

    `name` is what users call it and `home` what torch does. It computes in `dtypes`, the first where none is
    asked for, and `check(dtype)` refuses with `Unavailable` what this very machine cannot do. "float8_e4m3fn"
    keeps weights only: they are computed with in `wide`. `memory()` is what is free, and `empty()` gives back
    what torch keeps for later. A job's stages run inside `context()`. `shared` says that weights there are in
    the host's own memory, so they are moved where others are copied, and `doubles` that it has float64.
    Where torch's `inference` mode does not work, gradients alone are off. `prepared(module, dtype)`
    changes a module that was brought there, in place or for another. `calling(module, component)` gives what
    is called in the module's stead.
    """

    name: str
    home: str
    dtypes: tuple[str, ...]
    memory: Callable[[], Memory]
    check: Callable[[str], None] = lambda _dtype: None
    wide: str = "bfloat16"
    empty: Callable[[], None] = lambda: None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    shared: bool = False
    doubles: bool = True
    inference: bool = True
    channels_last: bool = False
    prepared: Callable[["torch.nn.Module", "torch.dtype"], "torch.nn.Module"] = lambda module, _dtype: module
    calling: Callable[["torch.nn.Module", Component], Caller | None] = lambda _module, _component: None


class TorchDevice:
    """A torch device, open."""

    def __init__(self, place: TorchPlace) -> None:
        self._place = place

    def place(self, component: Component, dtype: str | None) -> TorchModule:
        """The component there in `dtype`, by moving or by a copy.

        A managed one is left where it is, and told where it will be called if it is `Settling`.

        Raises `Unavailable` for a type it does not compute in, and `OutOfMemory`.
        """
        place, name = self._place, dtype or self._place.dtypes[0]
        stored = name if name == STORED else ""
        kind = torch_dtype(place, name)
        with memory_of(place.name):
            module, borrowed = self._brought(component, kind, stored=bool(stored))
        module.eval().requires_grad_(False)
        call = place.calling(module, component)
        return TorchModule(module, device=place.name, home=place.home, dtype=kind, stored=stored, call=call,
                           borrowed=borrowed, doubles=place.doubles)  # fmt: skip

    @contextmanager
    def activate(self) -> Iterator[None]:
        """The place's own context, without autograd."""
        import torch

        without = torch.inference_mode if self._place.inference else torch.no_grad
        with self._place.context(), without():
            yield

    def memory(self) -> Memory:
        """What is free now."""
        return self._place.memory()

    def empty_cache(self) -> None:
        """Give back the memory that torch keeps for later calls."""
        self._place.empty()

    def close(self) -> None:
        """Give back what torch keeps; modules belong to whoever loaded or placed them."""
        self.empty_cache()

    def _brought(
        self, component: Component, dtype: "torch.dtype", *, stored: bool
    ) -> tuple["torch.nn.Module", bool]:
        """The module at home, and whether it is the component's own, taken away from the CPU."""
        module, place = component.module, self._place
        if component.managed:
            _settle(component, place.home, dtype, stored=stored)
            return module, False
        with changing(module):
            if stored:
                return self._prepared(stored_copy(module, dtype, place.home), dtype), False
            if place.shared and not narrows(module, dtype):
                return self._prepared(module.to(place.home, dtype), dtype), place.home != "cpu"
            return self._prepared(cast_copy(module, dtype, place.home), dtype), False

    def _prepared(self, module: "torch.nn.Module", dtype: "torch.dtype") -> "torch.nn.Module":
        import torch

        if self._place.channels_last and any(weight.dim() == 4 for weight in module.parameters()):
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self._place.prepared(module, dtype)


def _settle(component: Component, home: str, dtype: "torch.dtype", *, stored: bool) -> None:
    if stored:
        raise Unavailable(
            f"an optimizer moves the weights of {component.name}: the device cannot keep them in {STORED}",
            fix="choose another dtype",
        )
    if isinstance(component.module, Settling):
        component.module.settle(home, dtype)


def torch_dtype(place: TorchPlace, name: str) -> "torch.dtype":
    """The type to compute in for `name`; `Unavailable`, with the legal ones, if the place has none."""
    import torch

    if name not in place.dtypes:
        raise Unavailable(
            f"{place.name} does not compute in {name!a}", fix=f"choose one of {', '.join(place.dtypes)}"
        )
    place.check(name)
    found: torch.dtype = getattr(torch, place.wide if name == STORED else name)
    return found
