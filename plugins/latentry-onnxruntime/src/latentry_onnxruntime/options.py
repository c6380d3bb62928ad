"""What the devices of ONNX Runtime can be told; imports nothing heavy."""

from typing import Any

from platformdirs import user_cache_path

from latentry_sdk import Count, Field, Options
from latentry_sdk.files import Folder


class OnnxRuntimeOptions(Options):
    """How ONNX Runtime runs, on any provider."""

    threads: Count = Field(0, ge=0, le=1024, description="Threads of one operation; 0 leaves its choice")
    cache: Folder = Field(
        default_factory=lambda: user_cache_path("latentry") / "onnxruntime", description="Exported models"
    )

    def for_provider(self) -> dict[str, Any]:
        """The options that the execution provider itself knows, in its words."""
        return {}


class NumberedOptions(OnnxRuntimeOptions):
    """A provider that may have several devices."""

    index: Count = Field(0, ge=0, le=255, description="Which of several, counted from 0")

    def for_provider(self) -> dict[str, Any]:
        """The number of the device."""
        return {"device_id": self.index}


class TensorRtOptions(NumberedOptions):
    """TensorRT builds an engine for each shape, which takes minutes and is kept."""

    def for_provider(self) -> dict[str, Any]:
        """The number of the device, and where engines are kept."""
        kept = str(self.cache / "tensorrt")
        return {**super().for_provider(), "trt_engine_cache_enable": True, "trt_engine_cache_path": kept}


class OpenVinoTargetOptions(OnnxRuntimeOptions):
    """OpenVINO as a provider."""

    target: str = Field("CPU", pattern=r"[A-Z][A-Z0-9.:,]*", description="Its device: CPU, GPU, NPU, AUTO")

    def for_provider(self) -> dict[str, Any]:
        """OpenVINO's name of the device."""
        return {"device_type": self.target}
