"""The execution providers of ONNX Runtime that are devices here; imports nothing heavy."""

from dataclasses import dataclass

from latentry_onnxruntime.options import (
    NumberedOptions,
    OnnxRuntimeOptions,
    OpenVinoTargetOptions,
    TensorRtOptions,
)

WIDE, NARROW = ("float32",), ("float32", "float16")


@dataclass(frozen=True)
class Provider:
    """One execution provider: `name` is ONNX Runtime's own, `device` ours, `label` that of its hardware.

    `distribution` is the build that has it, and `library` the file in which that build carries it, without
    the system's prefix and suffix; none for the provider that all builds have.
    """

    name: str
    device: str
    label: str
    distribution: str
    library: str
    dtypes: tuple[str, ...]
    options: type[OnnxRuntimeOptions]

    @property
    def on_host(self) -> bool:
        """Whether its arrays lie in the system's own memory."""
        return self.library == ""


PROVIDERS = (
    Provider("CPUExecutionProvider", "onnxruntime", "the processor",
             "onnxruntime", "", WIDE, OnnxRuntimeOptions),
    Provider("CUDAExecutionProvider", "onnxruntime-cuda", "CUDA",
             "onnxruntime-gpu", "onnxruntime_providers_cuda", NARROW, NumberedOptions),
    Provider("TensorrtExecutionProvider", "onnxruntime-tensorrt", "TensorRT",
             "onnxruntime-gpu", "onnxruntime_providers_tensorrt", NARROW, TensorRtOptions),
    Provider("DmlExecutionProvider", "onnxruntime-directml", "DirectML",
             "onnxruntime-directml", "DirectML", NARROW, NumberedOptions),
    Provider("ROCMExecutionProvider", "onnxruntime-rocm", "ROCm",
             "onnxruntime-rocm", "onnxruntime_providers_rocm", NARROW, NumberedOptions),
    Provider("MIGraphXExecutionProvider", "onnxruntime-migraphx", "MIGraphX",
             "onnxruntime-migraphx", "onnxruntime_providers_migraphx", NARROW, NumberedOptions),
    Provider("OpenVINOExecutionProvider", "onnxruntime-openvino", "OpenVINO",
             "onnxruntime-openvino", "onnxruntime_providers_openvino", WIDE, OpenVinoTargetOptions),
)  # fmt: skip
