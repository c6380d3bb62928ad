"""Noise the picture as far as the strength says."""

from latentry_img2img.options import Img2ImgOptions
from latentry_sdk import JOB, KNOWN, LATENTS, NOISE, SIGMAS, State
from latentry_sdk.noising import levels_left, noised


def start(state: State) -> State:
    """The noise levels that the strength leaves, and the picture's latents under the first of them.

    Strength 1 runs every level and still starts from the noised picture, as diffusers does: of a
    variance-exploding model's last level it is a few percent. One of flow ends at noise alone.
    """
    job, known = state[JOB], state[KNOWN]
    space = job.plan.detected.model_range.space
    sigmas = levels_left(state[SIGMAS], job.options(Img2ImgOptions).strength)
    latents = noised(known, state[NOISE].initial(), sigmas[0], space=space)
    return state.put(SIGMAS, sigmas).put(LATENTS, latents)
