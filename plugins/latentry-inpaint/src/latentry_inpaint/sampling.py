"""Where sampling starts, and how a denoiser is held to the picture outside the mask."""

from latentry_inpaint.keeping import graded, keep_known, painted_at
from latentry_inpaint.options import Content, InpaintOptions
from latentry_sdk import DENOISE, JOB, KNOWN, LATENTS, MASK_LATENTS, NOISE, SIGMAS, State, X
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
    levels, inner = job.plan.detected.model_range, state[DENOISE]
    mask, known, noise = state[MASK_LATENTS], state[KNOWN], state[NOISE].initial()
    if options.differential:
        return state.put(
            DENOISE, graded(inner, mask=mask, known=known, noise=noise, levels=levels, first=first)
        )
    if "inpaint" in job.plan.detected.features:
        return state
    pure = first if options.strength == 1 else None
    wrapped = keep_known(inner, mask=mask, known=known, noise=noise, space=levels.space, pure_start=pure)
    return state.put(DENOISE, wrapped)
