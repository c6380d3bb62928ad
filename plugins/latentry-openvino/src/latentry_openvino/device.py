"""OpenVINO as a device: components are converted once, compiled, and called with torch tensors."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from latentry_openvino.calling import CompiledModel
from latentry_openvino.compiling import Compiler
from latentry_openvino.conversion import MADE_WITH, MODEL, tracer, write
from latentry_openvino.engine import PRECISIONS, AnyOptions, FlexibleOptions
from latentry_openvino.rounding import DEPENDS, rounded
from latentry_openvino.runtime import load_openvino
from latentry_sdk import Component, Memory, Unavailable
from latentry_sdk.engines import Converted, EngineComponent, convert, entry, keep, load, refuse_managed
from latentry_sdk.machine import system_memory

if TYPE_CHECKING:
    from torch import Tensor

CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
LIMITS = {"f32": 1e-3, "bf16": 0.1, "f16": 0.05}
"""Relative error up to which a graph's numbers are torch's; a graph that has frozen a shape is off by 1."""


class OpenVinoDevice:
    """Converts components and runs them with one OpenVINO core."""

    def __init__(self, options: AnyOptions) -> None:
        self._options = options
        self._core = load_openvino().Core()
        self._check_target()
        self._compiler = Compiler(self._core, options)

    def place(self, component: Component, dtype: str | None) -> EngineComponent:
        """The converted component, from the disk where it was converted before.

        Its torch module is kept only to convert it again for arguments that one graph cannot take.
        """
        precision = self._precision(dtype)
        refuse_managed(component, "openvino")
        known: list[Converted] = []

        def build(arrays: Sequence["Tensor"]) -> CompiledModel:
            converted = next((each for each in known if each.takes(arrays)), None)
            if converted is None:
                converted = self._converted(component, arrays, precision)
                known.append(converted)
            return self._compiler.compiled(converted, arrays, precision)

        chosen = next(name for name, hint in PRECISIONS.items() if hint == precision)
        return EngineComponent(build, build(component.example()), device="openvino", dtype=chosen)

    def activate(self) -> AbstractContextManager[None]:
        """No autograd in the stages around the engine."""
        import torch

        context: AbstractContextManager[None] = torch.inference_mode()
        return context

    def memory(self) -> Memory:
        """The system's memory for the CPU; other targets do not say."""
        return system_memory() if self._options.target == "CPU" else Memory()

    def close(self) -> None:
        """Nothing is held beyond the placed components."""

    def _converted(self, component: Component, arrays: Sequence["Tensor"], precision: str) -> Converted:
        rounds = self._rounds(component)
        folder = self._options.cache / entry(component, arrays, *MADE_WITH, *(DEPENDS if rounds else ()))
        if kept := load(folder, lambda place: self._core.read_model(place / MODEL)):
            return kept
        converted = convert(
            component,
            arrays,
            trace=tracer(component.name),
            build=partial(self._compiler.tried, precision=precision),
            limit=LIMITS[precision],
        )
        if rounds:
            converted = rounded(converted, arrays)
        keep(converted, folder, write)
        return converted

    def _rounds(self, component: Component) -> bool:
        return isinstance(self._options, FlexibleOptions) and self._options.int8 == component.name

    def _check_target(self) -> None:
        known = [*self._core.available_devices, "AUTO"]
        if self._options.target.split(":")[0].split(".")[0] not in {name.split(".")[0] for name in known}:
            raise Unavailable(
                f"OpenVINO has no device {self._options.target!r}", fix=f"use one of {', '.join(known)}"
            )

    def _precision(self, dtype: str | None) -> str:
        precision = PRECISIONS.get(dtype, "") if dtype else self._options.precision
        able = self._capabilities()
        legal = [name for name, hint in PRECISIONS.items() if CAPABILITIES[hint] in able]
        if CAPABILITIES.get(precision) not in able:
            asked, here = dtype or precision, self._options.target
            raise Unavailable(
                f"OpenVINO does not compute in {asked!a} on {here}", fix=f"use {', '.join(legal)}"
            )
        return precision

    def _capabilities(self) -> frozenset[str]:
        try:
            found = self._core.get_property(self._options.target, "OPTIMIZATION_CAPABILITIES")
        except RuntimeError:  # a target that stands for others does not say
            found = ()
        return frozenset({"FP32", *found})
