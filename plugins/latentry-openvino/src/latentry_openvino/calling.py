"""Call compiled models with torch tensors."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentry_openvino.shapes import shapes, signature
from latentry_sdk import PluginError

if TYPE_CHECKING:
    from torch import Tensor

    from latentry_openvino.conversion import Converted


class Engine:
    """One compiled model, called by one thread at a time."""

    def __init__(self, compiled: Any, converted: "Converted") -> None:
        self.converted = converted
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._lock = Lock()

    def takes(self, arrays: Sequence["Tensor"]) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""
        kinds = [(len(p.partial_shape), p.element_type.to_dtype().kind == "f") for p in self._compiled.inputs]
        known = self.converted.general or shapes(arrays) == self.converted.shapes
        return known and tuple(kinds) == signature(arrays)

    def __call__(self, arrays: Sequence["Tensor"]) -> list["Tensor"]:
        """The outputs, which are copies; the inputs are read where they lie if their type allows it."""
        import torch

        given = [
            as_numpy(array).astype(port.element_type.to_dtype(), copy=False)
            for array, port in zip(arrays, self._compiled.inputs, strict=True)
        ]
        with self._lock:
            results = self._request.infer(given, share_inputs=True)
            return [torch.from_numpy(results[port]) for port in self._compiled.outputs]


class OpenVinoComponent:
    """A component on OpenVINO. `build(arrays)` makes an engine for arguments that no other one takes."""

    home = "cpu"

    def __init__(self, build: Callable[[Sequence["Tensor"]], Engine], first: Engine, dtype: str) -> None:
        self._build = build
        self._engines = [first]
        self.dtype = dtype

    def __call__(self, *arrays: "Tensor") -> Any:
        """The component's answer, where and in the floating type in which the first argument came."""
        engine = self._engine(arrays)
        outputs = tuple(handed_back(output, arrays) for output in engine(arrays))
        return outputs if engine.converted.many else outputs[0]

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


def as_numpy(array: "Tensor") -> Any:
    """The array's own memory where numpy can see it, else a copy."""
    here = array.detach().to("cpu").contiguous()
    return (here.float() if here.is_floating_point() else here).numpy()


def handed_back(output: "Tensor", arrays: Sequence["Tensor"]) -> "Tensor":
    """`output` moved to the first argument's device and, if floating, to the first floating one's type."""
    floating = next((array.dtype for array in arrays if array.is_floating_point()), output.dtype)
    return output.to(arrays[0].device, floating if output.is_floating_point() else output.dtype)
