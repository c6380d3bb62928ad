"""The family's roles: the pipeline runs whole as `decode`, and what comes before it passes on what it needs.

What other stages make of noise and latents is nothing to it, so both are the number 0.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from latentry_diffusers.arguments import arguments, guidance
from latentry_diffusers.progress import Progress
from latentry_diffusers.refusing import kind_of, warn
from latentry_diffusers.texts import texts
from latentry_diffusers.whole import Call, calling
from latentry_sdk import (
    CONDITIONING,
    DENOISE,
    IMAGES,
    JOB,
    KNOWN,
    MASK_LATENTS,
    MASKED_LATENTS,
    NOISE,
    PLACED,
    PROMPTS,
    SEEDS,
    SIGMAS,
    SIZE,
    InvalidRequest,
    Job,
    State,
)

if TYPE_CHECKING:
    from PIL.Image import Image


class NoNoise:
    """The noise that the pipeline draws by itself."""

    def initial(self) -> float:
        """Nothing."""
        return 0.0

    def between(self, _now: float, _nxt: float, /) -> float:
        """Nothing."""
        return 0.0


def encode_prompt(state: State) -> State:
    """The texts of each image as they are: the pipeline encodes them."""
    warn(state)
    return state.put(CONDITIONING, texts(state[JOB].plan, state.get(PROMPTS)))


def encode_image(state: State) -> State:
    """Nothing: the pipeline encodes the picture and the mask."""
    return state.put(KNOWN, 0.0).put(MASK_LATENTS, 0.0).put(MASKED_LATENTS, 0.0)


def noise(state: State) -> State:
    """Nothing: the pipeline draws its noise."""
    return state.put(NOISE, NoNoise())


def denoise(state: State) -> State:
    """Nothing: the pipeline asks its own denoiser."""
    return state.put(DENOISE, lambda x, _sigma: x)


def decode(state: State) -> State:
    """The pictures, one call of the pipeline each, so that an image of a batch equals the single run."""
    job, kind, seeds = state[JOB], kind_of(state[JOB].plan), state[SEEDS]
    progress = Progress(job, len(seeds), len(state[SIGMAS]) - 1)
    callbacks, pictures = progress.callbacks(kind), []
    for progress.image, (text, seed) in enumerate(zip(state[CONDITIONING], seeds, strict=True)):
        job.check_cancelled()
        call = Call(kind.name, {**arguments(state, kind, text, seed), **callbacks})
        pictures.append(drawn(state, call))
    job.apply("pipeline", kind.name)
    job.apply("steps", progress.steps)
    return state.put(IMAGES, tuple(pictures)).put(JOB, with_guidance(job, guidance(job, kind)))


def with_guidance(job: Job, value: float | None) -> Job:
    """The job that asks for the guidance that was used, so that what is written with a picture replays it."""
    job.apply("guidance", value)
    if value is None:
        return job
    request = job.plan.request.model_copy(update={"guidance": value})
    return replace(job, plan=replace(job.plan, request=request))


def drawn(state: State, call: Call) -> "Image":
    """The picture of one call; `InvalidRequest` where it is not of the size that was asked for."""
    import torch
    from PIL import Image

    with calling(call):
        pixels = state[PLACED]["pipeline"](torch.zeros(1))
    picture = Image.fromarray(pixels.cpu().numpy())
    if picture.size != state[SIZE]:
        width, height = picture.size
        raise InvalidRequest(f"{call.pipeline} draws {width} × {height}", fix="ask for that size")
    return picture
