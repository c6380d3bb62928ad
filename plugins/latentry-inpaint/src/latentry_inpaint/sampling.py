"""Where sampling starts, and how a denoiser is held to the picture outside the mask."""

from collections.abc import Callable
from functools import partial
from typing import Any

from latentry_inpaint.keeping import graded, keep_known, painted_at
from latentry_inpaint.options import Content, InpaintOptions
from latentry_sdk import (
    DENOISE,
    JOB,
    KNOWN,
    LATENTS,
    MASK_LATENTS,
    NOISE,
    SIGMAS,
    UNGUIDED,
    Denoise,
    State,
    X,
)
from latentry_sdk.levels import levels_of
from latentry_sdk.noising import noised, pure_noise


def start(state: State) -> State:
    """Start from noise alone at strength 1, else from the noised content.

    Differential, both are for what is white in the mask; the rest starts from the noised picture.
    """
    job, options = state[JOB], state[JOB].options(InpaintOptions)
    known, mask, noise, first = state[KNOWN], state[MASK_LATENTS], state[NOISE].initial(), state[SIGMAS][0]
    space = job.plan.detected.model_range.space
    if options.differential:
        mask = painted_at(mask, 1)
    if options.strength < 1:
        clean = masked_content(options.content, known=known, mask=mask, noise=noise)
        return state.put(LATENTS, noised(clean, noise, first, space=space))
    latents = pure_noise(noise, first, space=space)
    if options.differential:
        latents = mask * latents + (1 - mask) * noised(known, noise, first, space=space)
    return state.put(LATENTS, latents)


def masked_content(content: Content, *, known: X, mask: X, noise: X) -> X:
    """The latents to noise: under the mask the picture's own, or unit noise, or nothing.

    The noise is the one that is then laid over it, as A1111 has it: (1 + sigma) n together in "ve".
    """
    if content == "latent_noise":
        return known * (1 - mask) + noise * mask
    return known * (1 - mask) if content == "latent_nothing" else known


def keep(state: State) -> State:
    """Wrap the denoiser of a model that takes no mask, and any where greys join in one after the other."""
    job, options, first = state[JOB], state[JOB].options(InpaintOptions), state[SIGMAS][0]
    levels = levels_of(job.plan)
    if options.differential:
        return _wrapped(state, partial(graded, levels=levels, first=first))
    if "inpaint" in job.plan.detected.features:
        return state
    pure = first if options.strength == 1 else None
    return _wrapped(state, partial(keep_known, space=levels.space, pure_start=pure))


def _wrapped(state: State, wrapper: Callable[..., Denoise[Any]]) -> State:
    """Both denoisers, where there is one without the prompt too: a sampler may step from one to the other."""
    mask, known, noise = state[MASK_LATENTS], state[KNOWN], state[NOISE].initial()
    for key in (DENOISE, UNGUIDED):
        if key in state:
            state = state.put(key, wrapper(state[key], mask=mask, known=known, noise=noise))
    return state
