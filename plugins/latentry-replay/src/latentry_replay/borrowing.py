"""Make a request of what another program wrote, and say what of it is not honoured."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latentry_replay.finding import known_model
from latentry_replay.foreign import Foreign
from latentry_replay.rebuilding import Rerun
from latentry_replay.second_pass import NAME, second_pass
from latentry_replay.solvers import solver
from latentry_sdk import Host, Request, parsed

SAME_NAME = ("steps", "seed", "guidance", "width", "height")


def borrowed(host: Host, foreign: Foreign, *, model: str | None, inputs: Mapping[str, Path]) -> Rerun:
    """The request as far as it can be taken over: the picture comes out similar, seldom equal.

    With an image among `inputs` it is image to image, with a mask inpainting. Raises `UnknownName` for a
    model that is not here: nothing is run with another in its stead.
    """
    settings, lost = foreign.settings, [f"{name}: {value}" for name, value in foreign.rest.items()]
    sampler, scheduler = solver(host, settings, lost)
    larger = second_pass(host, foreign, lost)
    task = "inpaint" if "mask" in inputs else "img2img" if "image" in inputs else "txt2img"
    task = NAME if larger and not inputs else task
    named = settings.get("model")
    fields = {
        "task": task,
        "prompt": foreign.prompt,
        "negative": foreign.negative,
        "model": model or known_model(host, str(named) if named else None),
        "sampler": sampler,
        "scheduler": scheduler,
        "inputs": dict(inputs),
        "options": {**({NAME: larger} if task == NAME else {}), **dict(_options(host, settings, task, lost))},
        **{name: settings[name] for name in SAME_NAME if name in settings},
    }
    if "<lora:" in foreign.prompt:
        lost.append("<lora:…> in the prompt is read as words")
    where = f"its {foreign.generator} record: "
    return Rerun(parsed(Request, fields, where=where), lost=tuple(lost))


def _options(
    host: Host, settings: Mapping[str, Any], task: str, lost: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The options that the settings come to; those of plugins that are not here are lost."""
    strength, skip = settings.get("strength"), _layers(settings.get("clip_skip"))
    if strength is not None and task in ("img2img", "inpaint"):
        yield task, {"strength": strength}
    elif strength is not None and task != NAME and str(strength) not in ("1", "1.0"):
        lost.append(f"strength: {strength}; give the picture it started from by --image")
    if skip and "prompt" in host.registry.stages:
        yield "prompt", {"clip_skip": skip}
    elif skip:
        lost.append(f"clip skip: {skip}")
    varied = {name: settings[name] for name in ("variation_seed", "variation_strength") if name in settings}
    if varied and "variation" in host.registry.stages:
        yield "variation", varied
    elif varied:
        lost.append(f"variation: {varied}")


def _layers(clip_skip: Any) -> Any:
    """How many layers are left out: AUTOMATIC1111 counts the one that is read, so 1 leaves none out."""
    text = str(clip_skip or "")
    return int(text) - 1 if text.isdecimal() and len(text) < 4 else clip_skip
