"""Compile converted models for OpenVINO's devices, for any size or for one."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from latentry_openvino.calling import CompiledModel
from latentry_openvino.engine import AnyOptions
from latentry_sdk import Unavailable
from latentry_sdk.engines import Converted, shapes

if TYPE_CHECKING:
    from torch import Tensor


class Compiler:
    """Compiles with one core, as `options` say."""

    def __init__(self, core: Any, options: AnyOptions) -> None:
        self._core = core
        self._options = options

    def compiled(self, converted: Converted, arrays: Sequence["Tensor"], precision: str) -> CompiledModel:
        """The model for these arguments and, unless sizes are static, for all that the conversion takes."""
        fixed = shapes(arrays) if self._options.shapes == "static" else None
        model = reshaped(converted.model, fixed) if fixed else converted.model
        try:
            made = self._core.compile_model(model, self._options.target, self._hints(precision))
        except RuntimeError as exc:
            reason = " ".join(str(exc).split())[:200]
            raise Unavailable(
                f"openvino cannot compile for {self._options.target}: {reason}", fix="choose another target"
            ) from exc
        return CompiledModel(made, converted, fixed)

    def tried(self, converted: Converted, *, precision: str) -> Callable[..., list["Tensor"]]:
        """What runs a conversion to see whether it is right: compiled once, or for each size."""
        if self._options.shapes == "dynamic":
            return self.compiled(converted, (), precision)
        return lambda arrays: self.compiled(converted, arrays, precision)(arrays)

    def _hints(self, precision: str) -> dict[str, Any]:
        options = self._options
        hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
        if options.target == "CPU":
            hints["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0  # with packed weights and free sizes, it crashes
        if options.threads:
            hints["INFERENCE_NUM_THREADS"] = options.threads
        if options.streams:
            hints["NUM_STREAMS"] = options.streams
        if options.hint != "none":
            hints["PERFORMANCE_HINT"] = options.hint.upper()
        return hints


def reshaped(model: Any, fixed: Sequence[tuple[int, ...]]) -> Any:
    """A copy of the model, which shares its weights, for arguments of these shapes alone."""
    copy = model.clone()
    copy.reshape({port: list(shape) for port, shape in zip(copy.inputs, fixed, strict=True)})
    return copy
