"""The task txt2img and where its sampling starts."""

from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import latentry_txt2img
from latentry_sdk import JOB, LATENTS, NOISE, SIGMAS, State
from latentry_sdk.noising import pure_noise


def state_for(space: str) -> State:
    noise = np.arange(-4.0, 4.0).reshape(2, 4)
    plan = SimpleNamespace(detected=SimpleNamespace(model_range=SimpleNamespace(space=space)))
    job: Any = SimpleNamespace(plan=plan)
    drawn: Any = SimpleNamespace(initial=lambda: noise)
    return State().put(JOB, job).put(NOISE, drawn).put(SIGMAS, (3.0, 1.0, 0.0))


@pytest.mark.parametrize(("space", "scale"), [("ve", sqrt(10)), ("flow", 3.0)])
def test_sampling_starts_from_noise_of_the_first_level(space: str, scale: float) -> None:
    (stage,) = latentry_txt2img.register_stages()
    state = state_for(space)
    assert np.array_equal(stage.run(state)[LATENTS], state[NOISE].initial() * scale)


def test_the_start_works_on_plain_floats() -> None:
    assert pure_noise(2.0, 3.0, space="ve") == 2 * sqrt(10)


def test_every_stage_of_the_task_is_the_kernels_a_role_or_known_by_name() -> None:
    (task,) = latentry_txt2img.register_tasks()
    mine = {stage.name for stage in latentry_txt2img.register_stages()}
    kernels = {"load", "sample", "write_images"}
    optional = {name for name in task.stages if name.endswith("?")}
    assert {name for name in task.stages if not name.startswith("@")} - optional == mine | kernels
    assert not task.inputs
