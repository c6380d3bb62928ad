"""A module's `forward` that is compiled at its first call."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentry_compile.options import CompileOptions
from latentry_compile.regions import repeated_blocks

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

DYNAMIC = {"auto": None, "on": True, "off": False}
MOST_PROGRAMS = 64
"""Programs for one piece of code, for that many sizes; torch's own 8 would go on without compiling."""


class Compiled:
    """Calls `inner`, a module's own forward, by a program that torch makes of it.

    A copy of the module compiles itself: devices that need the weights elsewhere copy modules.
    """

    def __init__(self, inner: Callable[..., Any], options: CompileOptions) -> None:
        self._inner = inner
        self._options = options
        self._call: Callable[..., Any] | None = None
        self._blocks: list[Module] = []
        self._lock = Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Compiled":
        return Compiled(copy.deepcopy(self._inner, memo), self._options)

    def __call__(self, *arrays: "Tensor") -> Any:
        """What `inner` gives; a size that is new is compiled first."""
        with self._lock:
            call = self._call = self._call or self._compile()
        with nothing_in_silence():
            return call(*arrays)

    def close(self) -> None:
        """Have the module's blocks called as they were."""
        for block in self._blocks:
            vars(block).pop("_compiled_call_impl", None)
        self._blocks, self._call = [], None

    def _compile(self) -> Callable[..., Any]:
        import torch

        asked: dict[str, Any] = {"backend": self._options.backend, "dynamic": DYNAMIC[self._options.dynamic]}
        if self._options.mode != "default":
            asked["mode"] = self._options.mode
        owner: Any = getattr(self._inner, "__self__", None)
        if self._options.blocks and owner is not None:
            self._blocks = repeated_blocks(owner)
        for block in self._blocks:
            block.compile(**asked)
        return self._inner if self._blocks else torch.compile(self._inner, **asked)


@contextmanager
def nothing_in_silence() -> Iterator[None]:
    """Two of torch's defaults that would go unnoticed are changed for the time of a call.

    Too many programs for one piece of code are an error, where it would go on without compiling. Hooks that
    come later make it compile again, where it would leave them out.
    """
    from torch._dynamo import config

    strict = {
        "recompile_limit": MOST_PROGRAMS,
        "fail_on_recompile_limit_hit": True,
        "skip_nnmodule_hook_guards": False,
    }
    with config.patch(strict):
        yield
