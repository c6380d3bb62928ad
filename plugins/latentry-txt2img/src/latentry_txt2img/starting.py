"""Scale the noise that sampling starts from."""

from math import sqrt

from latentry_sdk import JOB, LATENTS, NOISE, SIGMAS, State, X


def start(state: State) -> State:
    """Latents that hold noise alone, at the first of the job's noise levels."""
    space = state[JOB].plan.detected.model_range.space
    noise, first = state[NOISE].initial(), state[SIGMAS][0]
    return state.put(LATENTS, pure_noise(noise, first, space=space))


def pure_noise(noise: X, sigma: float, *, space: str) -> X:
    """Unit noise as the model has seen it at its last training step, where a little of the picture is left.

    In "ve" x = x0 + sigma n with x0 of unit variance, so x has variance 1 + sigma^2, as DDIM and the leading
    spacing of diffusers start. In "flow" x = (1 - sigma) x0 + sigma n, and sigma is 1 there or nearly so.
    """
    return noise * (sigma if space == "flow" else sqrt(1 + sigma**2))
