"""Noise the picture as far as the strength says."""

from latentry_sdk import JOB, KNOWN, LATENTS, NOISE, SIGMAS, State
from latentry_sdk.noising import noised


def start(state: State) -> State:
    """The picture's latents under the first of the noise levels.

    Strength 1 has left every level and still starts from the noised picture, as diffusers does: of a
    variance-exploding model's last level it is a few percent. One of flow ends at noise alone.
    """
    known, space = state[KNOWN], state[JOB].plan.detected.model_range.space
    return state.put(LATENTS, noised(known, state[NOISE].initial(), state[SIGMAS][0], space=space))
