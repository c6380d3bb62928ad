"""Make sessions of ONNX Runtime, and call them with torch tensors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from latentry_onnxruntime.options import OnnxRuntimeOptions
from latentry_onnxruntime.providers import Provider
from latentry_sdk import Unavailable
from latentry_sdk.engines import Converted
from latentry_sdk.engines.exporting import MODEL, write

if TYPE_CHECKING:
    from torch import Tensor

SILENT = 4
"""ONNX Runtime's level that logs nothing but what ends the process: errors are raised as well."""
MEMORY_WORDS = ("failed to allocate", "bad_alloc")


class Session:
    """One model in ONNX Runtime; its calls may run at once."""

    def __init__(self, session: Any, converted: Converted) -> None:
        self.many = converted.many
        self._converted = converted
        self._session = session
        self._inputs = [
            (port.name, tuple(port.shape), _numpy_type(port.type)) for port in session.get_inputs()
        ]

    def takes(self, arrays: Sequence["Tensor"]) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""
        fixed = [shape for _, shape, _ in self._inputs]
        return self._converted.takes(arrays) and all(map(_fits, fixed, arrays))

    def __call__(self, arrays: Sequence["Tensor"]) -> list["Tensor"]:
        """The outputs; inputs are read where they lie if they are on the CPU and their type allows it."""
        import torch

        pairs = zip(self._inputs, arrays, strict=True)
        given = {name: _as_numpy(array, kind) for (name, _, kind), array in pairs}
        with runtime_errors():
            return [torch.from_numpy(found) for found in self._session.run(None, given)]


def session(converted: Converted, provider: Provider, options: OnnxRuntimeOptions) -> Session:
    """The model, ready to run; `Unavailable` where the provider cannot be used for it.

    What has just been exported is written for ONNX Runtime to read: it may be too large to hand over.
    """
    if isinstance(converted.model, Path):
        return _opened(converted.model, converted, provider, options)
    with TemporaryDirectory(prefix="latentry-") as folder:
        write(converted.model, Path(folder))
        return _opened(Path(folder) / MODEL, converted, provider, options)


@contextmanager
def runtime_errors() -> Iterator[None]:
    """ONNX Runtime's own errors as RuntimeErrors, and a lack of memory as a MemoryError."""
    try:
        yield
    except Exception as exc:
        if not type(exc).__module__.startswith("onnxruntime."):
            raise
        short = any(word in str(exc).lower() for word in MEMORY_WORDS)
        raise (MemoryError if short else RuntimeError)(" ".join(str(exc).split())[:300]) from exc


def _opened(file: Path, converted: Converted, provider: Provider, options: OnnxRuntimeOptions) -> Session:
    import onnxruntime

    wanted = onnxruntime.SessionOptions()
    wanted.log_severity_level = SILENT
    wanted.intra_op_num_threads = options.threads
    wanted.inter_op_num_threads = 1
    chosen = [(provider.name, options.for_provider())]
    try:
        with runtime_errors():
            made = onnxruntime.InferenceSession(file, wanted, providers=chosen)
    except RuntimeError as exc:
        raise Unavailable(
            f"onnxruntime cannot run this on {provider.label}: {exc}", fix="place it elsewhere"
        ) from exc
    if provider.name not in made.get_providers():  # it goes on with the processor, and says so in a log only
        raise Unavailable(
            f"onnxruntime found no {provider.label} to run on", fix="use the device onnxruntime"
        )
    return Session(made, converted)


def _fits(fixed: tuple[Any, ...], array: "Tensor") -> bool:
    """Whether the array has each size that the graph does not leave open."""
    return all(
        size == int(wanted) for wanted, size in zip(fixed, array.shape, strict=True) if _is_number(wanted)
    )


def _is_number(size: Any) -> bool:
    """Sizes left open have names; one that turned out to be always the same is named by that number."""
    return str(size).isdigit()


def _numpy_type(name: str) -> str:
    """numpy's word for "tensor(float)" and the like."""
    kind = name.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(kind, kind)


def _as_numpy(array: "Tensor", kind: str) -> Any:
    import torch

    return array.detach().to("cpu", getattr(torch, kind)).contiguous().numpy()
