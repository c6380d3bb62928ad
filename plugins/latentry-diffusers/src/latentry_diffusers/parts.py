"""The components that a folder's index names, checked to be of known libraries and unpickled."""

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.sources import packages
from latentry_sdk import InvalidModel, ModelHeader, read_config

LIBRARIES = ("diffusers", "transformers")
NO_MODELS = ("Tokenizer", "TokenizerFast", "Processor", "ProcessorFast", "FeatureExtractor", "Scheduler")
DEPTHS = ("num_layers", "num_single_layers", "num_hidden_layers", "depth", "layers_per_block")

Part = tuple[str, str]
"""The library and the class of a component."""


def parts(header: ModelHeader) -> Mapping[str, Part]:
    """The components by name; `InvalidModel` for one of another library, or one that wants to run code."""
    found = {name: value for name, value in header.index.items() if _is_part(name, value)}
    return {name: _checked(header, name, value) for name, value in found.items() if value != [None, None]}


def models(header: ModelHeader) -> list[str]:
    """The components with weights, which are checked to be safetensors and no fewer than their layers."""
    names = [name for name, (_, kind) in parts(header).items() if not kind.endswith(NO_MODELS)]
    for name in names:
        config, count = header.config(name), len(header.tensors(name))
        if any(isinstance(config.get(depth), int) and config[depth] > count for depth in DEPTHS):
            raise InvalidModel(f"{header.path.name}: {name} asks for more layers than it has tensors")
    return names


def _is_part(name: str, value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2
    return pair and name[:1] != "_" and all(item is None or isinstance(item, str) for item in value)


def _checked(header: ModelHeader, name: str, value: list[Any]) -> Part:
    library, kind = value
    if library not in LIBRARIES and library not in packages():
        raise InvalidModel(f"{header.path.name}: {name[:80]!a} is of {str(library)[:80]!a}, not of diffusers")
    if not (name.isidentifier() and isinstance(kind, str) and kind.isidentifier()):
        raise InvalidModel(f"{header.path.name}: {name[:80]!a} is no component")
    for file in (header.path / name).glob("*config.json"):
        read_config(file)
    return library, kind
