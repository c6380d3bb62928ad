"""Read what a checkpoint says of itself, without its weights and without trusting it."""

import json
import os
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

from latentry.errors import InvalidModel, shown
from latentry.types import TensorInfo

MAX_HEADER = 100 << 20  # bytes: the limit of the safetensors format itself
MAX_JSON = 8 << 20
BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
         "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}  # fmt: skip


@dataclass(frozen=True)
class ModelHeader:
    """A checkpoint on disk, read as far as its headers: a diffusers folder or one `.safetensors` file."""

    path: Path
    index: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether this is a diffusers folder, with `index` its `model_index.json`."""
        return self.path.is_dir()

    def config(self, component: str) -> Mapping[str, Any]:
        """A component's `config.json`, checked to name no code."""
        for name in ("config.json", "scheduler_config.json"):
            if (self.path / component / name).is_file():
                return read_config(self.path / component / name)
        raise InvalidModel(f"{self.path.name}: {component} has no configuration")

    def tensors(self, component: str | None = None) -> Mapping[str, TensorInfo]:
        """The tensors of a component's safetensors files, or of the single file."""
        if component is None:
            return read_safetensors_header(self.path)
        return dict(ChainMap(*map(read_safetensors_header, self.weight_files(component))))

    def weight_files(self, component: str) -> tuple[Path, ...]:
        """A component's safetensors files, the plain variant before fp16 where both are there."""
        files = sorted(file for file in (self.path / component).glob("*.safetensors") if file.is_file())
        if not files:
            fix = "convert pickled weights with a trusted tool first"
            raise InvalidModel(f"{self.path.name}: {component} has no .safetensors weights", fix=fix)
        return tuple([file for file in files if ".fp16" not in file.name] or files)

    def signature(self) -> tuple[tuple[str, int, int], ...]:
        """Names, sizes and modification times: what changes when a file is replaced."""
        folders = os.walk(self.path) if self.is_folder else [("", [], [str(self.path)])]
        files = sorted(os.path.join(folder, name) for folder, _, names in folders for name in names)
        stats = [(file, os.stat(file)) for file in files if os.path.isfile(file)]
        return tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in stats)


def read_header(path: Path) -> ModelHeader:
    """The header of the checkpoint at `path`; `InvalidModel` when it is no safe checkpoint."""
    if path.is_dir():
        index = path / "model_index.json"
        if not index.is_file():
            raise InvalidModel(f"{path.name} holds no model_index.json")
        return ModelHeader(path, read_config(index))
    if path.suffix != ".safetensors":
        raise InvalidModel(f"{path.name} is no .safetensors file", fix="pickled checkpoints are never opened")
    header = ModelHeader(path)
    header.tensors()
    return header


def read_config(path: Path) -> Mapping[str, Any]:
    """A JSON object of at most 8 MiB that asks for no remote code."""
    if regular_size(path) > MAX_JSON:
        raise InvalidModel(f"{path.name} is larger than {MAX_JSON >> 20} MiB")
    config = _json_object(path.read_bytes(), path)
    if "auto_map" in config:
        raise InvalidModel(f"{path.parent.name}/{path.name} wants to run code (auto_map)")
    return config


def read_safetensors_header(path: Path) -> dict[str, TensorInfo]:
    """Names, types and shapes in one safetensors file, with offsets checked against the file's size."""
    size = regular_size(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
            raise InvalidModel(f"{path.name}: not a safetensors file, or cut short")
        raw = _json_object(file.read(length), path)
    raw.pop("__metadata__", None)
    spans = sorted(_span(name, entry, path) for name, entry in raw.items())
    edges = [0, *chain.from_iterable(spans), size - 8 - length]
    if edges[::2] != edges[1::2]:
        raise InvalidModel(f"{path.name} is cut short or padded, or its tensors overlap or leave gaps")
    return {name: TensorInfo(entry["dtype"], tuple(entry["shape"])) for name, entry in raw.items()}


def regular_size(path: Path) -> int:
    """The size of a regular file in bytes; a pipe or a folder is refused, never waited for."""
    if path.exists() and not path.is_file():
        raise InvalidModel(f"{path.name} is no regular file")
    return path.stat().st_size


def _json_object(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        return {**json.loads(raw)}
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvalidModel(f"{path.name}: its header or configuration is no JSON object") from exc


def _span(name: str, entry: Any, path: Path) -> tuple[int, int]:
    try:
        (start, end), shape = entry["data_offsets"], entry["shape"]
        fits = len(shape) <= 16 and all(type(one) is int and 0 <= one < 2**63 for one in (start, end, *shape))
        fits = fits and end - start == prod(shape) * BYTES[entry["dtype"]]
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise InvalidModel(f"{path.name}: tensor {shown(name)} is described wrongly")
    return start, end
