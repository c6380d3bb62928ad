"""Build plans, which is what TensorRT calls compiled models, from ONNX, and put other weights into them."""

from pathlib import Path
from typing import Any

from latentry_sdk import Unavailable
from latentry_tensorrt.options import TensorRtOptions

Shape = tuple[int, ...]


class Builder:
    """TensorRT, as `options` say."""

    def __init__(self, options: TensorRtOptions) -> None:
        import tensorrt

        self._trt: Any = tensorrt
        self._options = options
        self.logger = tensorrt.Logger(tensorrt.Logger.ERROR)

    def built(self, file: Path, shapes: tuple[Shape, ...]) -> bytes:
        """The plan for an ONNX file that was exported with arguments of these shapes; takes minutes.

        Raises `Unavailable` with the reason where TensorRT cannot do it, and `MemoryError`.
        """
        builder = self._trt.Builder(self.logger)
        network = builder.create_network(self._network_flags())
        parser = self._trt.OnnxParser(network, self.logger)
        if not parser.parse_from_file(str(file)):
            raise Unavailable(f"TensorRT cannot read the model: {_errors(parser)}", fix="place it elsewhere")
        plan = builder.build_serialized_network(network, self._config(builder, network, shapes))
        if plan is None:  # it says why in its log only, and memory is the usual reason
            raise MemoryError("TensorRT built no engine")
        return bytes(plan)

    def refitted(self, plan: bytes, file: Path) -> bytes | None:
        """The plan with the weights of an ONNX file of the same layout; None where they do not fit it."""
        engine = self.engine(plan)
        refitter = self._trt.Refitter(engine, self.logger)
        parser = self._trt.OnnxParserRefitter(refitter, self.logger)
        if not parser.refit_from_file(str(file)) or not refitter.refit_cuda_engine():
            return None
        return bytes(engine.serialize())

    def engine(self, plan: bytes) -> Any:
        """The plan on the GPU; raises `RuntimeError` where it is for another GPU or TensorRT."""
        engine = self._trt.Runtime(self.logger).deserialize_cuda_engine(plan)
        if engine is None:
            raise RuntimeError("TensorRT cannot load this engine")
        return engine

    def _network_flags(self) -> int:
        """Types are those of the ONNX file, which newer versions take for granted."""
        flag = getattr(self._trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if flag is None else 1 << int(flag)

    def _config(self, builder: Any, network: Any, shapes: tuple[Shape, ...]) -> Any:
        config, flags = builder.create_builder_config(), self._trt.BuilderFlag
        config.builder_optimization_level = self._options.effort
        if not self._options.tf32:
            config.clear_flag(flags.TF32)
        if self._options.refit:
            config.set_flag(flags.REFIT)
        if self._options.workspace:
            limit = self._options.workspace << 20
            config.set_memory_pool_limit(self._trt.MemoryPoolType.WORKSPACE, limit)
        profile = builder.create_optimization_profile()
        for index, shape in enumerate(shapes):
            port = network.get_input(index)
            lowest, largest = limits(tuple(port.shape), shape, self._options.range)
            profile.set_shape(port.name, lowest, shape, largest)
        config.add_optimization_profile(profile)
        return config


def limits(declared: Shape, shape: Shape, times: int) -> tuple[Shape, Shape]:
    """The smallest and largest shapes of an input of this one; sizes that are `declared` open are below 0.

    Batches begin at 1, other sizes at half of theirs, rounded down once more for odd ones.
    """
    lowest, largest = [], []
    for axis, (open_, size) in enumerate(zip(declared, shape, strict=True)):
        least = 1 if axis == 0 else max(1, size // 2 - 1)
        lowest.append(least if open_ < 0 else size)
        largest.append(size * times if open_ < 0 else size)
    return tuple(lowest), tuple(largest)


def _errors(parser: Any) -> str:
    return "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))[:300]
