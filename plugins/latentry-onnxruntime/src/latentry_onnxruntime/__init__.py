"""Run components with ONNX Runtime."""

from collections.abc import Sequence
from functools import partial

from latentry_onnxruntime.options import OnnxRuntimeOptions
from latentry_onnxruntime.probing import probe
from latentry_onnxruntime.providers import PROVIDERS, Provider
from latentry_sdk import Device, DeviceSpec, Options, hookimpl


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """`onnxruntime`, the processor, and one device for each other execution provider."""
    return [
        DeviceSpec(
            provider.device,
            partial(probe, provider),
            partial(open_onnxruntime, provider),
            options=provider.options,
            description=f"ONNX Runtime: {provider.label}",
        )
        for provider in PROVIDERS
    ]


def open_onnxruntime(provider: Provider, options: Options) -> Device:
    """The device; imports ONNX Runtime. `Unavailable` where its build lacks the provider."""
    from latentry_onnxruntime.device import OnnxRuntimeDevice

    assert isinstance(options, OnnxRuntimeOptions)
    return OnnxRuntimeDevice(provider, options)
