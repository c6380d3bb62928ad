"""Where sampling starts when there is a picture to start from: strength as steps, noise over latents."""

from math import sqrt

from latentry_sdk import InvalidRequest, Request, X


def steps_left(steps: int, strength: float) -> int:
    """How many of `steps` a strength in 0 … 1 runs; diffusers' rounding, which is down."""
    return min(int(steps * strength), steps)


def check_strength(request: Request, strength: float) -> None:
    """Raise `InvalidRequest` for a strength that leaves no step to run."""
    if steps_left(request.steps, strength) < 1:
        raise InvalidRequest(
            f"strength {strength:g} of {request.steps} steps leaves no step to run",
            fix="raise strength or steps until their product is at least 1",
        )


def levels_left(sigmas: tuple[float, ...], strength: float) -> tuple[float, ...]:
    """The last of the noise levels: those of the steps that a strength runs, and 0."""
    steps = len(sigmas) - 1
    return sigmas[steps - steps_left(steps, strength) :]


def noised(clean: X, noise: X, sigma: float, *, space: str) -> X:
    """x = x0 + sigma n in "ve", (1 - sigma) x0 + sigma n in "flow"."""
    return clean * (1 - sigma) + noise * sigma if space == "flow" else clean + noise * sigma


def pure_noise(noise: X, sigma: float, *, space: str) -> X:
    """Unit noise as the model has seen it at its last training step, where a little of the picture is left.

    In "ve" x = x0 + sigma n with x0 of unit variance, so x has variance 1 + sigma^2, as DDIM and the leading
    spacing of diffusers start. In "flow" x = (1 - sigma) x0 + sigma n, and sigma is 1 there or nearly so.
    """
    return noise * (sigma if space == "flow" else sqrt(1 + sigma**2))
