"""Scale the noise that sampling starts from."""

from latentry_sdk import JOB, LATENTS, NOISE, SIGMAS, State
from latentry_sdk.noising import pure_noise


def start(state: State) -> State:
    """Latents that hold noise alone, at the first of the job's noise levels."""
    space = state[JOB].plan.detected.model_range.space
    noise, first = state[NOISE].initial(), state[SIGMAS][0]
    return state.put(LATENTS, pure_noise(noise, first, space=space))
