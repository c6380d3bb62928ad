"""Each program's form of record: how it is told by, how sd-parsers is given it, what else is read.

sd-parsers walks a text or a graph as often as it finds something in it, so what it is given is bounded.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidInput
from latentry_sdk.records import PARAMETERS

if TYPE_CHECKING:
    from sd_parsers.data import PromptInfo

MOST_HASHES = 100
MOST_NODES, MOST_LINKS = 300, 1500

QUOTED = re.compile(r', ([\w /-]++): ("(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")')
"""A key of AUTOMATIC1111's and its value where that is a JSON string, because of commas and colons in it."""

PLAIN_NODES = frozenset({"CheckpointLoaderSimple", "CLIPTextEncode", "KSampler", "PreviewImage", "SaveImage"})
"""ComfyUI's nodes that every graph has."""

Texts = Mapping[str, str]
Values = Mapping[str, Any]
Read = tuple["PromptInfo", Values]


@dataclass(frozen=True)
class Generator:
    """A program: `mine(texts)` are its own among a picture's texts, empty where it left none.

    `read(texts)` gives what sd-parsers found, and all values in one mapping, by the program's names. It
    raises whatever a damaged record leads to.
    """

    mine: Callable[[Texts], Texts]
    read: Callable[[Texts], Read]


def read_automatic1111(texts: Texts) -> Read:
    """The last line's values, the size as two numbers; sd-parsers would cut those in quotes at commas."""
    from sd_parsers.parsers import AUTOMATIC1111Parser

    if texts[PARAMETERS].count("Hashes:") > MOST_HASHES:
        raise InvalidInput(f"its AUTOMATIC1111 record names more than {MOST_HASHES} lists of hashes")
    above, end, last = texts[PARAMETERS].rpartition("\n")
    quoted = {found[1]: json.loads(found[2], strict=False) for found in QUOTED.finditer(last)}
    plain = {PARAMETERS: above + end + QUOTED.sub("", last)}
    info = AUTOMATIC1111Parser(normalize_parameters=False).parse(plain)
    values = {**info.metadata, **info.samplers[0].parameters, **_model(info), **quoted}
    width, by, height = str(values.pop("Size", "")).partition("x")
    return info, {**values, **({"width": width, "height": height} if by else {})}


def read_comfyui(texts: Texts) -> Read:
    """The sampler's values, the size of the empty picture, and the other nodes by their class."""
    from sd_parsers.parsers import ComfyUIParser

    graph = json.loads(texts["prompt"])
    workflow = json.loads(texts["workflow"]) if "workflow" in texts else {"links": _links(graph)}
    if len(graph) > MOST_NODES or len(workflow["links"]) > MOST_LINKS:
        raise InvalidInput(f"its ComfyUI record has more than {MOST_NODES} nodes or {MOST_LINKS} links")
    info = ComfyUIParser(normalize_parameters=False).parse({"prompt": graph, "workflow": workflow})
    sampler = info.samplers[0]
    values = {**sampler.parameters, **_checkpoint(graph, str(sampler.sampler_id))}
    for kind, found in info.metadata.items():
        if "Empty" in kind and "Latent" in kind:
            values |= {name: found[0].get(name) for name in ("width", "height")}
        elif kind not in PLAIN_NODES:
            values[kind] = list(found)
    return info, values


def read_invokeai(texts: Texts) -> Read:
    """All values, with the model's name where later versions put it."""
    from sd_parsers.parsers import InvokeAIParser

    info = InvokeAIParser(normalize_parameters=False).parse(dict(texts))
    values = {**info.metadata, **info.samplers[0].parameters, **_model(info)}
    if not info.samplers[0].model and "invokeai_metadata" in texts:
        model = json.loads(texts["invokeai_metadata"]).get("model")
        values["model"] = model.get("name") if isinstance(model, dict) else None
    return info, values


def _named(*names: str) -> Callable[[Texts], Texts]:
    return lambda texts: {name: texts[name] for name in names if name in texts}


def _with_steps(texts: Texts) -> Texts:
    """Cameras leave comments of their own where AUTOMATIC1111's text is in a JPEG."""
    return {PARAMETERS: texts[PARAMETERS]} if "Steps: " in texts.get(PARAMETERS, "") else {}


def _graph(texts: Texts) -> Texts:
    return _named("prompt", "workflow")(texts) if "prompt" in texts else {}


GENERATORS = {
    "AUTOMATIC1111": Generator(_with_steps, read_automatic1111),
    "ComfyUI": Generator(_graph, read_comfyui),
    "InvokeAI": Generator(_named("invokeai_metadata", "sd-metadata", "Dream"), read_invokeai),
}


def _links(graph: Mapping[str, Any]) -> list[list[Any]]:
    """The links of a graph that was sent to ComfyUI without a workflow, each with its kind last."""
    return [
        [0, *value, node, 0, name.upper()]
        for node, given in graph.items()
        for name, value in given["inputs"].items()
        if isinstance(value, list) and len(value) == 2
    ]


def _checkpoint(graph: Mapping[str, Any], sampler: str) -> Values:
    """The file that the sampler's model links lead to, and the nodes passed on the way, by their class.

    sd-parsers takes the first node that has a model for the model itself, which is wrong behind a LoRA.
    """
    inputs, passed = graph[sampler]["inputs"], dict[str, list[Values]]()
    for _ in range(MOST_NODES):
        if not isinstance(link := inputs.get("model"), list):
            break
        node = graph[str(link[0])]
        inputs = node["inputs"]
        if name := inputs.get("ckpt_name") or inputs.get("unet_name"):
            return {"model": name, **passed}
        plain = {key: value for key, value in inputs.items() if not isinstance(value, list)}
        passed.setdefault(node["class_type"], []).append(plain)
    return passed


def _model(info: "PromptInfo") -> Values:
    model = info.samplers[0].model
    return {"model": model.name, "model_hash": model.hash} if model else {}
