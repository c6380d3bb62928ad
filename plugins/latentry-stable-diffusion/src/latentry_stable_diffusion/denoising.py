"""The role denoise: UNet, parameterisation and classifier-free guidance as `denoise(x, sigma) -> x0`."""

from typing import TYPE_CHECKING

from latentry_sdk import (
    CONDITIONING,
    DENOISE,
    JOB,
    PLACED,
    SIGMAS,
    SIZE,
    UNGUIDED,
    Count,
    Denoise,
    Field,
    InvalidRequest,
    Number,
    Options,
    Plan,
    StageSpec,
    State,
)
from latentry_sdk.further import Planned
from latentry_sdk.guidance import ROWS, composed
from latentry_sdk.levels import ZeroSnr, levels_of
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.grey import GreyPictures
from latentry_stable_diffusion.prediction import EPSILON
from latentry_stable_diffusion.remembering import remember_embeddings

if TYPE_CHECKING:
    from torch import Tensor


class DenoiseOptions(Options):
    """How the UNet is called."""

    at_once: Count = Field(
        1,
        ge=1,
        le=64,
        description="How many images of the batch the UNet gets in one call: more are faster for small "
        "pictures and on a GPU, take more memory, and equal the single runs up to rounding only",
    )
    guidance_2: Number | None = Field(
        None, ge=0, le=100, description="SDXL: guidance of the second text encoder, apart from the first's"
    )


def check_second_guidance(plan: Plan, _planned: Planned) -> None:
    """Refuse, at planning, `guidance_2` of a model with one text encoder, or where guidance is off."""
    if plan.options_of(DenoiseOptions).guidance_2 is None:
        return
    if plan.request.guidance <= 1 or plan.detected.details["architecture"] != "sdxl":
        raise InvalidRequest("guidance_2 needs a model with two text encoders, and guidance above 1")


def stage(name: str) -> StageSpec:
    """The stage `name`, with grey pictures of its own."""
    greys = GreyPictures()
    return StageSpec(
        name,
        lambda state: denoise(state, greys),
        needs=(JOB, PLACED, CONDITIONING, SIZE, SIGMAS),
        gives=(DENOISE,),
        options=DenoiseOptions,
        further=check_second_guidance,
        description="The UNet with guidance, as a denoiser",
    )


def denoise(state: State, greys: GreyPictures) -> State:
    """The denoiser for the job's prompts, at its size; stages before it may change its guidance.

    What they can put is in `latentry_sdk.guidance`.
    """
    from latentry_stable_diffusion.conditions import conditions
    from latentry_stable_diffusion.denoiser import Denoiser
    from latentry_stable_diffusion.equations import CLEAN, Guidance

    remember_embeddings(state)
    job = state[JOB]
    details, request, options = Details.of(job), job.plan.request, job.options(DenoiseOptions)
    both = options.guidance_2 is not None
    own = Guidance((request.guidance, *([] if options.guidance_2 is None else [options.guidance_2])))
    further, levels = state.get(ROWS) or (), levels_of(job.plan)
    if isinstance(levels, ZeroSnr) and details.prediction == EPSILON:
        job.warn("at zero terminal SNR a model should predict the velocity, and this one predicts the noise")
    denoiser = Denoiser(
        state[PLACED]["unet"],
        conditions(state, greys, both=both),
        state[SIGMAS],
        levels,
        CLEAN[details.prediction],
        composed(own, state),
        further,
        options.at_once,
        keeps=job.plan.sampler.unguided,
    )
    if denoiser.keeps:
        state = state.put(UNGUIDED, denoiser.unguided)
    seen: Denoise[Tensor] = denoiser
    return state.put(DENOISE, seen)
