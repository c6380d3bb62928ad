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
        self._types = [port.element_type.to_dtype() for port in compiled.inputs]
        self._request = compiled.create_infer_request()
        self._lock = Lock()

    def takes(self, arrays: Sequence["Tensor"]) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""
        return self._converted.takes(arrays) and self._fixed in (None, shapes(arrays))

    def __call__(self, arrays: Sequence["Tensor"]) -> list["Tensor"]:
        """The outputs, which are copies; the inputs are read where they lie if their type allows it."""
        import openvino
        import torch

        given = tuple(
            openvino.Tensor(as_numpy(array).astype(kind, copy=False), shared_memory=True)
            for array, kind in zip(arrays, self._types, strict=True)
        )
        with self._lock:
            return [torch.from_numpy(made) for made in self._request.infer(given).to_tuple()]


def as_numpy(array: "Tensor") -> Any:
    """The array's own memory where numpy can see it, else a copy; floating ones in float32."""
    here = array.detach().to("cpu").contiguous()
    return (here.float() if here.is_floating_point() else here).numpy()
