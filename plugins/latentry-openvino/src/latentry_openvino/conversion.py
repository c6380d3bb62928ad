"""Convert a component for OpenVINO, and find out for which arguments the result holds."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_openvino.runtime import load_openvino
from latentry_openvino.shapes import halved, shapes, stretched
from latentry_sdk import Component, Unavailable

if TYPE_CHECKING:
    from torch import Tensor

    from latentry_openvino.calling import Engine

Arrays = tuple["Tensor", ...]
Compile = Callable[["Converted"], "Engine"]


@dataclass(frozen=True)
class Converted:
    """An OpenVINO model; `many` says that it gives a tuple.

    `general` says that it holds for any batch and size, or else only for arguments of `shapes`.
    """

    model: Any
    many: bool
    general: bool
    shapes: tuple[tuple[int, ...], ...]


def convert(component: Component, arrays: Sequence["Tensor"], build: Compile, limit: float) -> Converted:
    """The component, traced so that it takes other batches and sizes too where that gives torch's numbers.

    `build` compiles what is to be tried; `limit` is the relative error up to which numbers are equal.
    """
    with _plain_torch(component, arrays) as (module, given):
        wide = stretched(given)
        if answer(module, wide) is not None:
            found = _traced(component.name, module, wide)
            if agrees(build(found), module, (wide, given, halved(given)), limit):
                return found
        found = _traced(component.name, module, given)
        others = (given, halved(given), wide)
        general = agrees(build(found), module, others, limit)
        return Converted(found.model, found.many, general, shapes(given))


def agrees(engine: "Engine", module: Any, cases: Sequence[Arrays], limit: float) -> bool:
    """Whether the engine gives torch's numbers in each case that torch can do."""
    for arrays in cases:
        expected = answer(module, arrays)
        if expected is not None and not _close(engine, arrays, expected, limit):
            return False
    return True


def answer(module: Any, arrays: Arrays) -> Any:
    """What torch gives, or None where it cannot do these shapes."""
    try:
        return module(*arrays)
    except (RuntimeError, ValueError, IndexError):
        return None


def _close(engine: "Engine", arrays: Arrays, expected: Any, limit: float) -> bool:
    try:
        found = engine(arrays)
    except RuntimeError:
        return False
    wanted = list(expected) if isinstance(expected, tuple) else [expected]
    pairs = list(zip(found, wanted, strict=False))
    return len(found) == len(wanted) and all(
        a.shape == b.shape and float((a - b).norm()) <= limit * float(b.norm()) + 1e-12
        for a, b in ((a.double(), b.double()) for a, b in pairs)
    )


def _traced(name: str, module: Any, arrays: Arrays) -> Converted:
    openvino = load_openvino()
    many = isinstance(answer(module, arrays), tuple)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls tracing deprecated; frozen shapes are tested for
            model = openvino.convert_model(module, example_input=arrays)
    except Exception as exc:
        reason = " ".join(str(exc).split())[:200]
        raise Unavailable(f"openvino cannot convert {name}: {reason}", fix="place it elsewhere") from exc
    return Converted(model, many, True, shapes(arrays))


@contextmanager
def _plain_torch(component: Component, arrays: Sequence["Tensor"]) -> Iterator[tuple[Any, Arrays]]:
    """The module in float32 on the CPU and copies of the arguments, outside of inference mode."""
    import torch

    with torch.inference_mode(False), torch.no_grad():
        module = component.module.to("cpu", torch.float32).eval()
        copies = (array.detach().to("cpu").clone() for array in arrays)
        yield module, tuple(copy.float() if copy.is_floating_point() else copy for copy in copies)
