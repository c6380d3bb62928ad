"""Run torch modules on the processor."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from latentry_cpu.placed import CpuModule, cast_copy
from latentry_cpu.probing import DTYPES, system_memory
from latentry_sdk import Component, Memory, Unavailable

if TYPE_CHECKING:
    import torch

    from latentry_cpu import CpuOptions


class CpuDevice:
    """The processor, open. Closing it frees nothing: modules belong to whoever loaded them."""

    def __init__(self, options: "CpuOptions") -> None:
        self._options = options

    def place(self, component: Component, dtype: str | None) -> CpuModule:
        """The component here in `dtype`, float32 for None; a narrower type than its own gets a copy."""
        chosen = torch_dtype(dtype or "float32")
        module = component.module
        if not component.managed:
            module = cast_copy(module, chosen) if narrows(module, chosen) else module.to("cpu", chosen)
            module = self._in_order(module)
        module.eval().requires_grad_(False)
        return CpuModule(module, chosen)

    @contextmanager
    def activate(self) -> Iterator[None]:
        """No autograd, and the number of threads asked for; both as before afterwards."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self._options.threads or before)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(before)

    def memory(self) -> Memory:
        """What the system has left."""
        return system_memory()

    def close(self) -> None:
        """Nothing was taken; may be called twice."""

    def _in_order(self, module: "torch.nn.Module") -> "torch.nn.Module":
        import torch

        if self._options.channels_last and any(weight.dim() == 4 for weight in module.parameters()):
            return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
        return module


def torch_dtype(name: str) -> "torch.dtype":
    """The type called `name`; `Unavailable` if this processor does not compute in it."""
    import torch

    if name not in DTYPES:
        raise Unavailable(f"cpu does not compute in {name!a}", fix=f"choose one of {', '.join(DTYPES)}")
    if name == "bfloat16" and not has_bfloat16():
        raise Unavailable(
            "this processor has no bfloat16; it would be about 300 times slower", fix="choose float32"
        )
    found: torch.dtype = getattr(torch, name)
    return found


def has_bfloat16() -> bool:
    """Whether oneDNN has fast bfloat16 kernels for this processor."""
    import torch

    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a torch built without oneDNN
        return False


def narrows(module: Any, dtype: "torch.dtype") -> bool:
    """Whether some weight would lose bits in `dtype`, so that no later cast could bring them back."""
    import torch

    own = {weight.dtype for weight in module.parameters() if weight.is_floating_point()}
    return any(torch.promote_types(kind, dtype) != dtype for kind in own)
