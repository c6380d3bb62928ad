"""Call compiled models with torch tensors."""

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentry_sdk.engines import Converted, Shapes, shapes

if TYPE_CHECKING:
    from torch import Tensor


class CompiledModel:
    """One compiled model, called by one thread at a time; for arguments of `fixed` shapes alone, if any."""

    def __init__(self, compiled: Any, converted: Converted, fixed: Shapes | None = None) -> None:
        self.many = converted.many
        self._converted = converted
        self._fixed = fixed
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._lock = Lock()

    def takes(self, arrays: Sequence["Tensor"]) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""
        return self._converted.takes(arrays) and self._fixed in (None, shapes(arrays))

    def __call__(self, arrays: Sequence["Tensor"]) -> list["Tensor"]:
        """The outputs, which are copies; the inputs are read where they lie if their type allows it."""
        import torch

        given = tuple(
            as_numpy(array).astype(port.element_type.to_dtype(), copy=False)
            for array, port in zip(arrays, self._compiled.inputs, strict=True)
        )
        with self._lock:
            results = self._request.infer(given, share_inputs=True)
            return [torch.from_numpy(results[port]) for port in self._compiled.outputs]


def as_numpy(array: "Tensor") -> Any:
    """The array's own memory where numpy can see it, else a copy; floating ones in float32."""
    here = array.detach().to("cpu").contiguous()
    return (here.float() if here.is_floating_point() else here).numpy()
