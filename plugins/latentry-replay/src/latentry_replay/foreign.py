"""What AUTOMATIC1111, ComfyUI and InvokeAI wrote into a picture, in our names; sd-parsers reads it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidInput, UserError
from latentry_sdk.records import PARAMETERS

if TYPE_CHECKING:
    from sd_parsers.data import PromptInfo
    from sd_parsers.parsers import Parser

LONGEST = 1 << 20
"""Characters of a record that are read."""

MOST_HASHES = 100
"""The parser's time grows with how often `Hashes:` stands in a text, times the text's length."""

MOST_NODES, MOST_LINKS = 300, 1500
"""Of a graph: the parser walks it once for each sampler in it."""

TRIGGERS = {
    "AUTOMATIC1111": (PARAMETERS,),
    "ComfyUI": ("prompt", "workflow"),
    "InvokeAI": ("invokeai_metadata", "sd-metadata", "Dream"),
}
"""The texts by which the programs are told apart: any of them, and for ComfyUI the first."""

KNOWN = {
    "Steps": "steps",
    "CFG scale": "guidance",
    "cfg_scale": "guidance",
    "Seed": "seed",
    "noise_seed": "seed",
    "Schedule type": "scheduler",
    "Denoising strength": "strength",
    "denoise": "strength",
    "Clip skip": "clip_skip",
    "Variation seed": "variation_seed",
    "Variation seed strength": "variation_strength",
}
"""Other programs' names of what we know; further ones are the same as ours."""

OURS = frozenset({*KNOWN.values(), "width", "height", "sampler", "model", "model_hash"})
MEANINGLESS = frozenset({"Version", "app_version", "generation_mode", "id", "rand_device"})
"""What says nothing of the picture."""

PLAIN_NODES = frozenset({"CheckpointLoaderSimple", "CLIPTextEncode", "KSampler", "PreviewImage", "SaveImage"})
"""ComfyUI's nodes that every graph has."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Foreign:
    """Another program's record: prompts, `settings` by our names, and the `rest` by its own."""

    generator: str
    prompt: str
    negative: str
    settings: Values
    rest: Values


def read_foreign(texts: Mapping[str, str]) -> Foreign | None:
    """The record that another program left among a picture's texts, None where there is none.

    Raises `InvalidInput` of one line for one that is too long or cannot be read.
    """
    for generator, triggers in TRIGGERS.items():
        found = {name: texts[name] for name in triggers if name in texts}
        if found and (generator != "ComfyUI" or "prompt" in found):
            return _read(generator, found)
    return None


def _read(generator: str, texts: Mapping[str, str]) -> Foreign:
    if sum(map(len, texts.values())) > LONGEST:
        raise InvalidInput(f"its {generator} record is longer than {LONGEST >> 20} Mi characters")
    try:
        info = _parser(generator).parse(_checked(generator, texts))
        sampler, *more = info.samplers
        flat = FLATTENERS[generator](info, texts)
    except UserError:
        raise
    except Exception as exc:  # the parser lets through what damaged records lead to
        raise InvalidInput(f"its {generator} record cannot be read: {_reason(exc)}") from exc
    values = {KNOWN.get(name, name): value for name, value in flat.items() if name not in MEANINGLESS}
    values |= {
        "sampler": sampler.name,
        **({"further samplers": [each.name for each in more]} if more else {}),
    }
    return Foreign(
        generator,
        ", ".join(prompt.value for prompt in sampler.prompts),
        ", ".join(prompt.value for prompt in sampler.negative_prompts),
        {name: value for name, value in values.items() if name in OURS and value is not None},
        {name: value for name, value in values.items() if name not in OURS and value},
    )


def _checked(generator: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """What the parser is given; `InvalidInput` for a record that would take it too long."""
    if texts.get(PARAMETERS, "").count("Hashes:") > MOST_HASHES:
        raise InvalidInput(f"its {generator} record names more than {MOST_HASHES} lists of hashes")
    if generator != "ComfyUI":
        return dict(texts)
    parts: dict[str, Any] = {name: json.loads(text) for name, text in texts.items()}
    if len(parts["prompt"]) > MOST_NODES or len(parts["workflow"]["links"]) > MOST_LINKS:
        raise InvalidInput(f"its {generator} record has more than {MOST_NODES} nodes or {MOST_LINKS} links")
    return parts


def _parser(generator: str) -> "Parser":
    from sd_parsers.parsers import AUTOMATIC1111Parser, ComfyUIParser, InvokeAIParser

    kinds: Mapping[str, Callable[..., Parser]] = {
        "AUTOMATIC1111": AUTOMATIC1111Parser,
        "ComfyUI": ComfyUIParser,
        "InvokeAI": InvokeAIParser,
    }
    return kinds[generator](normalize_parameters=False)


def _automatic1111(info: "PromptInfo", _texts: Mapping[str, str]) -> Values:
    values = {**info.metadata, **info.samplers[0].parameters, **_model(info)}
    width, by, height = str(values.pop("Size", "")).partition("x")
    return {**values, **({"width": width, "height": height} if by else {})}


def _comfyui(info: "PromptInfo", texts: Mapping[str, str]) -> Values:
    """The sampler's values, the size of the empty picture, and the other nodes by their class."""
    sampler = info.samplers[0]
    values = {**sampler.parameters, **_checkpoint(json.loads(texts["prompt"]), sampler.sampler_id or "")}
    values["guidance"] = values.pop("cfg", None)
    nodes = {kind: list(found) for kind, found in info.metadata.items() if kind not in PLAIN_NODES}
    for kind, found in list(nodes.items()):
        if "Empty" in kind and "Latent" in kind:
            values |= {name: found[0].get(name) for name in ("width", "height")}
            del nodes[kind]
    return {**nodes, **values}


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


def _invokeai(info: "PromptInfo", texts: Mapping[str, str]) -> Values:
    values = {**info.metadata, **info.samplers[0].parameters, **_model(info)}
    if "model" not in values and "invokeai_metadata" in texts:  # newer than what sd-parsers knows
        model = json.loads(texts["invokeai_metadata"]).get("model")
        values["model"] = model.get("name") if isinstance(model, dict) else None
    return values


FLATTENERS: Mapping[str, Callable[["PromptInfo", Mapping[str, str]], Values]] = {
    "AUTOMATIC1111": _automatic1111,
    "ComfyUI": _comfyui,
    "InvokeAI": _invokeai,
}


def _model(info: "PromptInfo") -> Values:
    model = info.samplers[0].model
    return {"model": model.name, "model_hash": model.hash} if model else {}


def _reason(exc: Exception) -> str:
    return ascii(" ".join(str(exc).split())[:120])[1:-1] or type(exc).__name__
