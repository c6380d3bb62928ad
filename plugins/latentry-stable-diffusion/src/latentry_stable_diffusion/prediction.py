"""Tell whether a single file's UNet predicts the noise or the velocity.

In this order: the tensor `v_pred` (NoobAI's convention, read by ComfyUI too) means velocity; the metadata
`modelspec.prediction_type`, `modelspec.predict_key` or a `modelspec.architecture` ending in "-v" says it;
SD 2 files of 4 channels, which come in both kinds with the same tensors, show it in one bias of 320 values,
whose deviation is above 0.09 in models that predict velocity (ComfyUI's test). All else predicts noise.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from statistics import pstdev
from typing import Any

from latentry_sdk import ModelHeader
from latentry_stable_diffusion.architectures import SD2, UNET, Architecture

EPSILON, VELOCITY = "epsilon", "v_prediction"
SHOWING = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
SPOKEN = {"epsilon": EPSILON, "eps": EPSILON, "v": VELOCITY, "v_prediction": VELOCITY, "velocity": VELOCITY}
FORMATS = {"F16": "e", "F32": "f", "F64": "d"}


def prediction_of(header: ModelHeader, architecture: Architecture, channels: int) -> str:
    """`"epsilon"` or `"v_prediction"`."""
    if "v_pred" in header.tensors():
        return VELOCITY
    raw, start = _raw_header(header.path)
    if spoken := _by_metadata(raw.get("__metadata__", {})):
        return spoken
    if architecture is SD2 and channels == 4 and _spread(header.path, raw, start) > 0.09:
        return VELOCITY
    return EPSILON


def _by_metadata(metadata: Mapping[str, Any]) -> str | None:
    for key in ("modelspec.prediction_type", "modelspec.predict_key"):
        if spoken := SPOKEN.get(str(metadata.get(key)).lower()):
            return spoken
    return VELOCITY if str(metadata.get("modelspec.architecture")).endswith("-v") else None


def _raw_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header as JSON, and where the tensors begin. The host has checked it and drops the metadata."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        raw: dict[str, Any] = json.loads(file.read(length))
    return raw, 8 + length


def _spread(path: Path, raw: Mapping[str, Any], start: int) -> float:
    entry = raw.get(SHOWING, {"dtype": None})
    if entry["dtype"] not in (*FORMATS, "BF16"):
        return 0.0
    low, high = entry["data_offsets"]
    with path.open("rb") as file:
        file.seek(start + low)
        data = file.read(high - low)
    return pstdev(_values(data, entry["dtype"]))


def _values(data: bytes, dtype: str) -> tuple[float, ...]:
    if dtype == "BF16":  # the upper half of a float32
        data = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
        dtype = "F32"
    form = FORMATS[dtype]
    return struct.unpack(f"<{len(data) // struct.calcsize(form)}{form}", data)
