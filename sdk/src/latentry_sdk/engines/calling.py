"""Call converted components with torch tensors."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from latentry.errors import PluginError
from latentry_sdk.memory import memory_of
from latentry_sdk.torch_placed import handed_back

if TYPE_CHECKING:
    from torch import Tensor


class Engine(Protocol):
    """One compiled model; it may be called from several threads."""

    @property
    def many(self) -> bool:
        """Whether the component gives a tuple."""

    def takes(self, arrays: Sequence["Tensor"], /) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""

    def __call__(self, arrays: Sequence["Tensor"], /) -> list["Tensor"]:
        """The outputs, on the CPU, which later calls leave as they are."""


class EngineComponent:
    """A component on an engine. `build(arrays)` makes an engine for arguments that no other one takes.

    `device` is its device's name, for messages.
    """

    home = "cpu"

    def __init__(
        self, build: Callable[[Sequence["Tensor"]], Engine], first: Engine, *, device: str, dtype: str
    ) -> None:
        self._build = build
        self._engines = [first]
        self._device = device
        self.dtype = dtype

    def __call__(self, *arrays: "Tensor") -> Any:
        """The component's answer, where and in the floating type in which the first argument came.

        Raises `OutOfMemory` where there is too little for it.
        """
        engine = self._engine(arrays)
        with memory_of(self._device):
            outputs = handed_back(tuple(engine(arrays)), arrays)
        return outputs if engine.many else outputs[0]

    def close(self) -> None:
        """Drop what was compiled; may be called twice."""
        self._engines = []

    def _engine(self, arrays: Sequence["Tensor"]) -> Engine:
        if not self._engines:
            raise PluginError("a closed component was called")
        for engine in self._engines:
            if engine.takes(arrays):
                return engine
        self._engines.append(self._build(arrays))
        return self._engines[-1]
