"""Export a component's module to ONNX by torch's exporter, and write what it gives.

Who uses this depends on the distributions onnx and onnxscript.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry.errors import Unavailable
from latentry_sdk.engines.conversion import Trace
from latentry_sdk.quiet import quiet
from latentry_sdk.torch_copies import cast_copy
from latentry_sdk.torch_placed import taken_in

if TYPE_CHECKING:
    from torch import Tensor

MODEL = "model.onnx"
EXPORTERS = ("onnx", "onnxscript", "torch")
"""The distributions whose versions change what is exported."""


def exporter(component: str, dtype: str) -> Trace:
    """What exports the component of that name, to compute in `dtype`."""
    return partial(_exported, component, dtype)


def write(program: Any, folder: Path) -> None:
    """Put the graph into the folder, and beside it the weights, which may be more than a graph can hold."""
    program.save(folder / MODEL, external_data=True)


def _exported(name: str, dtype: str, module: Any, arrays: tuple["Tensor", ...], general: bool) -> Any:
    """The ONNX program, as it is: engines do what optimizing the graph here would do, in less time."""
    import torch

    module, arrays = _cast(module, arrays, getattr(torch, dtype))
    shapes = tuple(_open(array) for array in arrays) if general else None
    try:
        with quiet():  # of operators of packages that are not installed, and of its own names
            program = torch.export.export(module, arrays, dynamic_shapes=shapes, strict=False)
            return torch.onnx.export(program, dynamo=True, verbose=False, optimize=False)
    except Exception as exc:
        reason = " ".join(str(exc).split())[:200]
        raise Unavailable(f"{name} cannot be exported to ONNX: {reason}", fix="place it elsewhere") from exc


def _open(array: "Tensor") -> dict[int, Any]:
    """The dimensions that may differ from call to call: batch, rows and columns, tokens.

    torch takes a dimension of size 1 for one that is always so.
    """
    from torch.export import Dim

    asked = {1: (0,), 2: (0,), 3: (0, 1), 4: (0, 2, 3)}.get(array.dim(), ())
    if array.dim() == 2 and not array.is_floating_point():
        asked = (0, 1)
    return {dimension: Dim.AUTO for dimension in asked if array.shape[dimension] > 1}


def _cast(module: Any, arrays: tuple["Tensor", ...], dtype: Any) -> tuple[Any, tuple["Tensor", ...]]:
    """Both in `dtype`, in copies."""
    import torch

    if dtype == torch.float32:
        return module, arrays
    return cast_copy(module, dtype), tuple(taken_in(arrays, "cpu", dtype))
