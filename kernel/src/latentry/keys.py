"""The entries of a state that the engine itself puts or reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentry.job import Job
from latentry.request import Artifact
from latentry.state import Key, State
from latentry.types import Denoise, Device, Noise, Placed

JOB = Key[Job]("job")
"""The running job. There from the start."""

SIZE = Key[tuple[int, int]]("size")
"""(width, height) of the pictures in pixels. There from the start: as asked, or the model's own."""

SEEDS = Key[tuple[int, ...]]("seeds")
"""One seed an image. There from the start."""

SIGMAS = Key[tuple[float, ...]]("sigmas")
"""The noise levels to sample over, decreasing to 0. There from the start; image to image cuts it short."""

DEVICES = Key[Mapping[str, Device]]("devices")
"""The devices of the job's placements, open, by name. There from the start."""

PLACED = Key[Mapping[str, Placed]]("placed")
"""The model's components on their devices, by name."""

NOISE = Key[Noise[Any]]("noise")
"""The job's noise, one generator an image."""

LATENTS = Key[Any]("latents")
"""The pictures being made: noise before sampling, clean after. (batch, channels, height, width)"""

DENOISE = Key[Denoise[Any]]("denoise")
"""The denoiser that the sampler calls; stages wrap it."""

UNGUIDED = Key[Denoise[Any]]("unguided")
"""What it sees without the prompt, where the plan's sampler asks for that; who wraps the one wraps both."""

ARTIFACTS = Key[Sequence[Artifact]]("artifacts")
"""What the job gives back."""

FIRST = frozenset({JOB.name, DEVICES.name, SIZE.name, SEEDS.name, SIGMAS.name})
"""The names of what is there from the start."""


def first(job: Job, devices: Mapping[str, Device]) -> State:
    """The state that a job begins with."""
    state = State().put(JOB, job).put(DEVICES, devices).put(SIZE, job.plan.size)
    return state.put(SEEDS, job.plan.seeds).put(SIGMAS, job.plan.sigmas)
