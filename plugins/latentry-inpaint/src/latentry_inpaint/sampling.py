"""Where sampling starts, and how a model that takes no mask is held to the picture outside it."""

from latentry_inpaint.options import Content, InpaintOptions
from latentry_sdk import DENOISE, JOB, KNOWN, LATENTS, MASK_LATENTS, NOISE, SIGMAS, Denoise, State, X
from latentry_sdk.noising import noised, pure_noise


def start(state: State) -> State:
    """Start from noise alone at strength 1, else from the noised content."""
    job, options = state[JOB], state[JOB].options(InpaintOptions)
    space, noise = job.plan.detected.model_range.space, state[NOISE].initial()
    first = state[SIGMAS][0]
    if options.strength == 1:
        latents = pure_noise(noise, first, space=space)
    else:
        clean = masked_content(options.content, known=state[KNOWN], mask=state[MASK_LATENTS], noise=noise)
        latents = noised(clean, noise, first, space=space)
    return state.put(LATENTS, latents)


def masked_content(content: Content, *, known: X, mask: X, noise: X) -> X:
    """The latents to noise: under the mask the picture's own, or unit noise, or nothing.

    The noise is the one that is then laid over it, as A1111 has it: (1 + sigma) n together in "ve".
    """
    if content == "latent_noise":
        return known * (1 - mask) + noise * mask
    return known * (1 - mask) if content == "latent_nothing" else known


def keep(state: State) -> State:
    """Wrap the denoiser of a model that takes no mask; one that does is left alone."""
    job = state[JOB]
    if "inpaint" in job.plan.detected.features:
        return state
    pure = job.options(InpaintOptions).strength == 1
    wrapped = keep_known(
        state[DENOISE],
        mask=state[MASK_LATENTS],
        known=state[KNOWN],
        noise=state[NOISE].initial(),
        space=job.plan.detected.model_range.space,
        pure_start=state[SIGMAS][0] if pure else None,
    )
    return state.put(DENOISE, wrapped)


def keep_known(
    inner: Denoise[X], *, mask: X, known: X, noise: X, space: str = "ve", pure_start: float | None = None
) -> Denoise[X]:
    """A denoiser that paints where `mask` is 1 and gives `known` where it is 0.

    It shows `inner` the known latents under their own noise outside the mask and takes back what it makes of
    them. This equals putting them back after each step as diffusers does, for a hard mask and a solver of one
    step such as Euler or DDIM: x' = m x' + (1 - m)(known + sigma' n).
    At the level `pure_start` nothing is known yet: `x` is noise alone, and diffusers shows it as it is.
    """

    def denoise(x: X, sigma: float) -> X:
        if sigma != pure_start:
            x = mask * x + (1 - mask) * noised(known, noise, sigma, space=space)
        return mask * inner(x, sigma) + (1 - mask) * known

    return denoise
