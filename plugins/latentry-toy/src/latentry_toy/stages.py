"""The steps of the toy's task."""

from latentry_sdk import (
    ARTIFACTS,
    CONDITIONING,
    DENOISE,
    JOB,
    KNOWN,
    LATENTS,
    NOISE,
    PLACED,
    SEEDS,
    SIGMAS,
    SOURCE,
    Artifact,
    Field,
    ImageReady,
    InvalidRequest,
    Key,
    Number,
    Options,
    Request,
    StageSpec,
    State,
    UnknownName,
)
from latentry_toy.grid import SIDE, Grid, as_pgm
from latentry_toy.painter import PATTERNS, gaussian_denoiser, seeded_noise

TRAIL = Key[tuple[str, ...]]("toy.trail")
"""The names of the stages that a toy job has run."""


class ToyOptions(Options):
    """What the toy's task can be told."""

    contrast: Number = Field(1.0, ge=0, le=1, description="How far from grey the pattern is")


def check_size(request: Request, _options: ToyOptions) -> None:
    """Refuse every size but the one there is."""
    if {request.width or SIDE, request.height or SIDE} != {SIDE}:
        raise InvalidRequest(f"the toy draws {SIDE} × {SIDE} pixels, and no other size")


def encode_prompt(state: State) -> State:
    """The first pattern that the prompt names, less the one that the negative prompt names."""
    request, painter = state[JOB].plan.request, state[PLACED]["painter"]
    wanted: Grid = painter(pattern_in(request.prompt))
    if request.negative and request.guidance > 1:
        unwanted: Grid = painter(pattern_in(request.negative))
        wanted = unwanted + (wanted - unwanted) * request.guidance
    return state.put(CONDITIONING, wanted * state[JOB].options(ToyOptions).contrast)


def pattern_in(prompt: str) -> str:
    """The first word of the prompt that names a pattern."""
    for word in prompt.lower().split():
        if word in PATTERNS:
            return word
    raise UnknownName("pattern", prompt, PATTERNS)


def encode_image(state: State) -> State:
    """A picture of 8 × 8 pixels as the toy's floats."""
    grey = state[SOURCE].convert("L").tobytes()
    return state.put(KNOWN, Grid(tuple(value / 127.5 - 1 for value in grey)))


def noise(state: State) -> State:
    """Noise for the job's seeds."""
    seeds = state[SEEDS]
    return state.put(NOISE, seeded_noise(seeds))


def denoiser(state: State) -> State:
    """The exact denoiser of the pattern."""
    spread = float(state[JOB].plan.detected.details["spread"])
    return state.put(DENOISE, gaussian_denoiser(state[CONDITIONING], spread))


def start(state: State) -> State:
    """Pure noise at the first level."""
    return state.put(LATENTS, state[NOISE].initial() * state[SIGMAS][0])


def decode(state: State) -> State:
    """A PGM file of each picture."""
    job, seeds, artifacts = state[JOB], state[SEEDS], []
    for index, (seed, picture) in enumerate(zip(seeds, state[LATENTS].pictures(), strict=True)):
        job.notify(ImageReady(job.id, index, seed))
        artifacts.append(Artifact(as_pgm(picture), "image/x-portable-graymap", seed))
    trail = state.get(TRAIL, ())
    job.apply("trail", list(trail))
    return state.put(ARTIFACTS, tuple(artifacts))


STAGES = (
    StageSpec("toy.encode_prompt", encode_prompt, needs=(JOB, PLACED), gives=(CONDITIONING,)),
    StageSpec("toy.encode_image", encode_image, needs=(SOURCE,), gives=(KNOWN,)),
    StageSpec("toy.noise", noise, needs=(SEEDS,), gives=(NOISE,)),
    StageSpec("toy.denoise", denoiser, needs=(JOB, CONDITIONING), gives=(DENOISE,)),
    StageSpec("toy.start", start, needs=(NOISE, SIGMAS), gives=(LATENTS,)),
    StageSpec("toy.decode", decode, needs=(LATENTS, JOB), gives=(ARTIFACTS,)),
)
