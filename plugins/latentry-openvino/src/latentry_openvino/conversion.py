"""Trace a component's module with OpenVINO's own converter, and read and write what it gives."""

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_openvino.runtime import load_openvino
from latentry_sdk import Unavailable
from latentry_sdk.engines import Trace

if TYPE_CHECKING:
    from torch import Tensor

MODEL = "model.xml"
MADE_WITH = ("latentry-openvino", "openvino", "torch")


def tracer(component: str) -> Trace:
    """What traces the component of that name: every dimension stays open that the trace does not freeze."""
    return partial(_traced, component)


def write(model: Any, folder: Path) -> None:
    """Put the model's graph and its weights, as they are, into the folder."""
    load_openvino().save_model(model, folder / MODEL, compress_to_fp16=False)


def _traced(name: str, module: Any, arrays: tuple["Tensor", ...], _general: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls tracing deprecated; frozen shapes are tested for
            return load_openvino().convert_model(module, example_input=arrays)
    except Exception as exc:
        reason = " ".join(str(exc).split())[:200]
        raise Unavailable(f"openvino cannot convert {name}: {reason}", fix="place it elsewhere") from exc
