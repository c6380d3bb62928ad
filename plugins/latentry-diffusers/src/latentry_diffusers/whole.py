"""A whole pipeline as one component: a torch module that devices move, told aside what to call."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidModel, PluginError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Call:
    """What to call: the class of diffusers by name, and its arguments."""

    pipeline: str
    arguments: Mapping[str, Any]


CALL: ContextVar[Call] = ContextVar("latentry_diffusers.call")
"""The call under way. A component takes arrays alone, and a pipeline takes texts, pictures and callbacks."""


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """While this lasts, a whole pipeline that is run makes this call."""
    token = CALL.set(call)
    try:
        yield
    finally:
        CALL.reset(token)


def whole(pipeline: Any) -> "Module":
    """`(anything) -> pixels`: the picture of the call under way, (height, width, 3) in uint8.

    Its children are the pipeline's models, so that a device moves and casts them.
    """
    from torch.nn import Module, ModuleDict

    class Whole(Module):
        def __init__(self) -> None:
            super().__init__()
            models = {name: part for name, part in pipeline.components.items() if isinstance(part, Module)}
            self.models, self.pipeline = ModuleDict(models), pipeline

        def forward(self, _anchor: "Tensor") -> "Tensor":
            return picture(self.pipeline, CALL.get())

    return Whole().eval().requires_grad_(False)


def picture(pipeline: Any, call: Call) -> "Tensor":
    """Make the call with the class that it names, which shares the pipeline's models."""
    import diffusers

    kind = getattr(diffusers, call.pipeline)
    runner = pipeline if type(pipeline) is kind else sharing(kind, pipeline)
    runner.set_progress_bar_config(disable=True)
    made = runner(**call.arguments)
    return as_pixels(made.images[0] if hasattr(made, "images") else made.frames[0][0])


def sharing(kind: Any, pipeline: Any) -> Any:
    """A pipeline of another class with the same parts. diffusers' `from_pipe` would cast them, too."""
    held = {**pipeline.config, **pipeline.components}
    return kind(**{name: held[name] for name in signature(kind).parameters if name in held})


def as_pixels(values: Any) -> "Tensor":
    """A picture of (height, width, 3) in 0 … 1 as uint8; `InvalidModel` where it has no such values."""
    import numpy as np
    import torch

    values = np.asarray(values)
    if values.ndim != 3 or values.shape[2] != 3:
        raise PluginError(f"the pipeline gave an array of shape {values.shape}, which is no RGB picture")
    if not np.isfinite(values).all():
        raise InvalidModel("the model gave NaN or infinite pixels")
    return torch.from_numpy((values * 255).round().astype("uint8"))
