"""What AUTOMATIC1111, ComfyUI and InvokeAI wrote into a picture, in our names; sd-parsers reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from latentry_replay.generators import GENERATORS, Values
from latentry_replay.record import check_depth
from latentry_sdk import InvalidInput, UserError

LONGEST = 1 << 20
"""Characters of a record that are read."""

KNOWN = {
    "Steps": "steps",
    "CFG scale": "guidance",
    "cfg_scale": "guidance",
    "cfg": "guidance",
    "Model": "model",
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

SECOND_PASS = {
    "Hires upscale": "scale",
    "Hires resize": "size",
    "Hires steps": "steps",
    "Hires upscaler": "upscaler",
    "Hires sampler": "sampler",
    "Hires schedule type": "scheduler",
    "Hires CFG Scale": "guidance",
    "Hires prompt": "prompt",
    "Hires negative prompt": "negative",
}
"""AUTOMATIC1111's names of what the task `hires` has as options; "size" is its width and height."""

OURS = frozenset({*KNOWN.values(), *SECOND_PASS, "width", "height", "sampler", "model", "model_hash"})
MEANINGLESS = frozenset({"Version", "app_id", "app_version", "generation_mode", "id", "rand_device", "type"})
"""What says nothing of the picture."""


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
    for name, generator in GENERATORS.items():
        if found := generator.mine(texts):
            return _read(name, found)
    return None


def _read(name: str, texts: Mapping[str, str]) -> Foreign:
    if sum(map(len, texts.values())) > LONGEST:
        raise InvalidInput(f"its {name} record is longer than {LONGEST >> 20} Mi characters")
    try:
        info, flat = GENERATORS[name].read(texts)
        sampler, *more = info.samplers
        check_depth(dict(flat), f"its {name} record")
    except UserError:
        raise
    except Exception as exc:  # the parser lets through what damaged records lead to
        raise InvalidInput(f"its {name} record cannot be read: {_reason(exc)}") from exc
    values = {KNOWN.get(key, key): value for key, value in flat.items() if key not in MEANINGLESS}
    values |= {"sampler": sampler.name, "further samplers": [each.name for each in more]}
    return Foreign(
        name,
        ", ".join(prompt.value for prompt in sampler.prompts),
        ", ".join(prompt.value for prompt in sampler.negative_prompts),
        {key: value for key, value in values.items() if key in OURS and value is not None},
        {key: value for key, value in values.items() if key not in OURS and value},
    )


def _reason(exc: Exception) -> str:
    return ascii(" ".join(str(exc).split())[:120])[1:-1] or type(exc).__name__
