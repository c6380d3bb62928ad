"""TensorRT as a device: components are built once, and called with torch tensors on the GPU."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component, Memory, Unavailable
from latentry_sdk.engines import (
    Converted,
    EngineComponent,
    agrees,
    convert,
    entry,
    keep,
    load,
    refuse_managed,
    shapes,
    signature,
)
from latentry_sdk.engines.agreement import Call
from latentry_sdk.engines.exporting import EXPORTERS, MODEL, exporter, write
from latentry_sdk.memory import memory_of
from latentry_tensorrt.building import Builder
from latentry_tensorrt.engines import Gpu, TensorRtEngine
from latentry_tensorrt.options import DISTRIBUTIONS, DTYPES, TensorRtOptions

if TYPE_CHECKING:
    from torch import Tensor

PLAN = "model.plan"
MADE_WITH = ("latentry-tensorrt", *DISTRIBUTIONS, *EXPORTERS)
LIMITS = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.1}
"""Relative error up to which an engine's numbers are torch's; one that has frozen a shape is off by 1."""


class TensorRtDevice:
    """Builds components with `builder`, as `options` say, and runs them on the GPU."""

    def __init__(self, options: TensorRtOptions, builder: Builder, gpu: Gpu) -> None:
        self._options, self._builder, self._gpu = options, builder, gpu

    def place(self, component: Component, dtype: str | None) -> EngineComponent:
        """The built component, from the disk where it was built before.

        Its torch module is kept only to build it again for arguments that no engine takes.
        """
        chosen = dtype or DTYPES[0]
        if chosen not in DTYPES:
            raise Unavailable(f"tensorrt does not compute in {chosen!a}", fix=f"use {', '.join(DTYPES)}")
        refuse_managed(component, "tensorrt")
        build = partial(self._engine, component, chosen)
        with memory_of("tensorrt"), self._gpu.current():
            first = build(component.example())
        placed = EngineComponent(build, first, device="tensorrt", dtype=chosen)
        placed.home = self._gpu.home
        return placed

    def activate(self) -> AbstractContextManager[None]:
        """No autograd in the stages around the engine."""
        import torch

        context: AbstractContextManager[None] = torch.inference_mode()
        return context

    def memory(self) -> Memory:
        """What the GPU has."""
        return self._gpu.memory()

    def close(self) -> None:
        """Nothing is held beyond the placed components."""

    def _engine(self, component: Component, dtype: str, arrays: Sequence["Tensor"]) -> TensorRtEngine:
        folder = self._options.cache / entry(component, arrays, *MADE_WITH, dtype, *self._made_for())
        if kept := load(folder, _read):
            return self._opened(kept)
        trace = partial(self._traced, component.name, dtype)
        converted = convert(component, arrays, trace=trace, build=self._tried, limit=LIMITS[dtype])
        keep(converted, folder, _write)
        return self._opened(converted)

    def _opened(self, converted: Converted) -> TensorRtEngine:
        return TensorRtEngine(self._builder.engine(converted.model), converted, self._gpu)

    def _tried(self, converted: Converted) -> Call:
        """The engine with its outputs on the CPU, where they are compared with torch's."""
        engine = self._opened(converted)
        return lambda arrays: [output.to("cpu") for output in engine(arrays)]

    def _traced(
        self, name: str, dtype: str, module: Any, arrays: tuple["Tensor", ...], general: bool
    ) -> bytes:
        program = exporter(name, dtype)(module, arrays, general)
        with TemporaryDirectory(prefix="latentry-") as folder:
            write(program, Path(folder))
            file = Path(folder) / MODEL
            if not self._options.refit:
                return self._builder.built(file, shapes(arrays))
            return self._refitted(file, dtype, module, arrays, general)

    def _refitted(
        self, file: Path, dtype: str, module: Any, arrays: tuple["Tensor", ...], general: bool
    ) -> bytes:
        """These weights in a plan of the same layout, if that gives torch's numbers; else a new plan."""
        made = (*MADE_WITH, dtype, general, *self._made_for())
        folder = self._options.cache / layout(module, arrays, *made)
        if kept := load(folder, _read):
            plan = self._builder.refitted(kept.model, file)
            if plan and self._right(plan, dtype, module, arrays, general):
                return plan
        plan = self._builder.built(file, shapes(arrays))
        keep(Converted(plan, False, general, shapes(arrays), signature(arrays)), folder, _write)
        return plan

    def _right(
        self, plan: bytes, dtype: str, module: Any, arrays: tuple["Tensor", ...], general: bool
    ) -> bool:
        converted = Converted(plan, False, general, shapes(arrays), signature(arrays))
        return agrees(self._tried(converted), module, [arrays], LIMITS[dtype])

    def _made_for(self) -> tuple[str, ...]:
        """What else a plan depends on: the GPU, and the options it was built with."""
        asked = self._options.model_dump(include={"range", "effort", "tf32", "refit"})
        return (self._gpu.name, repr(sorted(asked.items())))


def layout(module: Any, arrays: Sequence["Tensor"], *made: Any) -> str:
    """A name for all modules that differ in nothing but their weights."""
    weights = [(name, tuple(weight.shape)) for name, weight in module.state_dict().items()]
    parts = (repr(module), weights, shapes(arrays), signature(arrays), made)
    return f"layout-{sha256(repr(parts).encode()).hexdigest()[:32]}"


def tensorrt_device(options: TensorRtOptions) -> TensorRtDevice:
    """TensorRT on the GPU that `options` name; `Unavailable` where torch does not see it."""
    import torch

    index, count = options.gpu, torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise Unavailable(f"torch sees {count} GPUs, not number {index}", fix="run latentry doctor")
    gpu = Gpu(
        name=f"{torch.cuda.get_device_name(index)} {torch.cuda.get_device_capability(index)}",
        home=f"cuda:{index}",
        memory=lambda: Memory(*reversed(torch.cuda.mem_get_info(index))),
        current=lambda: torch.cuda.device(index),
        stream=lambda: int(torch.cuda.current_stream(index).cuda_stream),
    )
    return TensorRtDevice(options, Builder(options), gpu)


def _read(folder: Path) -> bytes:
    return (folder / PLAN).read_bytes()


def _write(plan: bytes, folder: Path) -> None:
    (folder / PLAN).write_bytes(plan)
