"""Find a job that has a stage done, among what is installed."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from itertools import product
from typing import Any

from latentry_sdk import ARTIFACTS, Host, LatentryError, Request, StageSpec, TaskSpec

STEPS = 2
SIDE = 64


def job_with(host: Host, spec: StageSpec, options: Mapping[str, Any]) -> Request | None:
    """A request of few steps whose plan has the stage; None if no installed task and model has it."""
    for request in _requests(host, spec, options):
        with suppress(LatentryError):
            stages = host.plan(request).stages
            gives_pictures = any(ARTIFACTS in stage.gives for stage in stages)
            if gives_pictures and spec.name in {stage.name for stage in stages}:
                return request
    return None


def _requests(host: Host, spec: StageSpec, options: Mapping[str, Any]) -> Iterator[Request]:
    models = [None, *(entry.name for entry in host.models())]
    own = {spec.name: dict(options)} if options else {}
    for task in sorted(host.registry.tasks.values(), key=lambda task: len(task.stages)):
        for model, inputs in product(models, (_inputs(task, required=True), _inputs(task, required=False))):
            yield Request(task=task.name, model=model, prompt=_prompt(task), steps=STEPS, seed=7,
                          inputs=inputs, options=own)  # fmt: skip


def _prompt(task: TaskSpec) -> str:
    """A text that is legal: the last word of what the task says of itself, which may list the legal ones."""
    return task.description.split()[-1] if task.description else ""


def _inputs(task: TaskSpec, *, required: bool) -> Mapping[str, bytes]:
    """A picture or a mask for what the task takes, or for what it requires alone."""
    return {given.name: _picture(given.kind) for given in task.inputs if given.required or not required}


def _picture(kind: str) -> bytes:
    """A PNG of 64 × 64 pixels: a slope of grey, or a white square on black."""
    from PIL import Image

    picture = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")
    if kind == "mask":
        picture = Image.new("L", (SIDE, SIDE))
        picture.paste(255, (SIDE // 4, SIDE // 4, SIDE // 2, SIDE // 2))
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
