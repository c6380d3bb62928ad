"""ONNX Runtime as a device: components are exported once, and called with torch tensors."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from latentry_onnxruntime.options import OnnxRuntimeOptions
from latentry_onnxruntime.probing import build_folder, build_name, present, swap
from latentry_onnxruntime.providers import Provider
from latentry_onnxruntime.sessions import Session, session
from latentry_sdk import Component, Memory, Unavailable
from latentry_sdk.engines import Converted, EngineComponent, convert, entry, keep, load, refuse_managed
from latentry_sdk.engines.exporting import EXPORTERS, MODEL, exporter, write
from latentry_sdk.machine import system_memory

if TYPE_CHECKING:
    from torch import Tensor

LIMITS = {"float32": 1e-3, "float16": 0.05}
"""Relative error up to which a graph's numbers are torch's; a graph that has frozen a shape is off by 1."""


class OnnxRuntimeDevice:
    """Exports components and runs them with one execution provider."""

    def __init__(self, provider: Provider, options: OnnxRuntimeOptions) -> None:
        import onnxruntime

        self._provider = provider
        self._options = options
        if provider.name not in onnxruntime.get_available_providers():
            folder = build_folder()
            raise Unavailable(
                f"the installed ONNX Runtime has no {provider.label}, only {', '.join(present())}",
                fix=swap(build_name(folder) if folder else "onnxruntime", provider),
            )

    def place(self, component: Component, dtype: str | None) -> EngineComponent:
        """The exported component, from the disk where it was exported before.

        Its torch module is kept only to export it again for arguments that one graph cannot take.
        """
        chosen = dtype or self._provider.dtypes[0]
        if chosen not in self._provider.dtypes:
            legal = ", ".join(self._provider.dtypes)
            raise Unavailable(f"{self._provider.device} does not compute in {chosen!a}", fix=f"use {legal}")
        refuse_managed(component, "onnxruntime")

        def build(arrays: Sequence["Tensor"]) -> Session:
            return self._engine(component, arrays, chosen)

        return EngineComponent(build, build(component.example()), device=self._provider.device, dtype=chosen)

    def activate(self) -> AbstractContextManager[None]:
        """No autograd in the stages around the engine."""
        import torch

        context: AbstractContextManager[None] = torch.inference_mode()
        return context

    def memory(self) -> Memory:
        """The system's memory for the processor; ONNX Runtime does not tell of others."""
        return system_memory() if self._provider.on_host else Memory()

    def close(self) -> None:
        """Nothing is held beyond the placed components."""

    def _engine(self, component: Component, arrays: Sequence["Tensor"], dtype: str) -> Session:
        def opened(converted: Converted) -> Session:
            return session(converted, self._provider, self._options)

        folder = self._options.cache / entry(component, arrays, "latentry-onnxruntime", *EXPORTERS, dtype)
        if kept := load(folder, lambda place: place / MODEL):
            return opened(kept)
        trace = exporter(component.name, dtype)
        converted = convert(component, arrays, trace=trace, build=opened, limit=LIMITS[dtype])
        keep(converted, folder, write)
        kept_here = (folder / MODEL).is_file()  # then it need not be written a second time
        return opened(replace(converted, model=folder / MODEL) if kept_here else converted)
