"""Where sampling starts, and how a model that takes no mask is held to the picture outside it."""

from math import sqrt

from latentry_inpaint.options import InpaintOptions, steps_left
from latentry_sdk import DENOISE, JOB, KNOWN, LATENTS, MASK_LATENTS, NOISE, SIGMAS, Denoise, State, X


def start(state: State) -> State:
    """Cut the noise levels to the strength; start from noise alone at 1, else from the noised picture."""
    job, sigmas = state[JOB], state[SIGMAS]
    space, strength = job.plan.detected.model_range.space, job.options(InpaintOptions).strength
    steps = len(sigmas) - 1
    sigmas = sigmas[steps - steps_left(steps, strength) :]
    noise = state[NOISE].initial()
    if strength == 1:
        latents = pure_noise(noise, sigmas[0], space=space)
    else:
        latents = noised(state[KNOWN], noise, sigmas[0], space=space)
    return state.put(SIGMAS, sigmas).put(LATENTS, latents)


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


def noised(clean: X, noise: X, sigma: float, *, space: str) -> X:
    """x = x0 + sigma n in "ve", (1 - sigma) x0 + sigma n in "flow"."""
    return clean * (1 - sigma) + noise * sigma if space == "flow" else clean + noise * sigma


def pure_noise(noise: X, sigma: float, *, space: str) -> X:
    """Noise of the deviation that noised latents of unit variance have at `sigma`."""
    return noise * (sigma if space == "flow" else sqrt(1 + sigma**2))
