"""Noise schedules: which levels of noise a sampler visits, from the model's highest down to 0."""

from collections.abc import Callable, Sequence

from latentry_schedules.levels import beta, exponential, karras
from latentry_schedules.timesteps import cosine, ddim_uniform, normal, quadratic, sgm_uniform, simple
from latentry_sdk import Field, Number, Options, SchedulerSpec, hookimpl

SIGMA_MIN = "Lowest level above 0; the model's own when left out"
SIGMA_MAX = "Highest level; the model's own when left out"


class RangeOptions(Options):
    """The ends of a schedule that is made of noise levels."""

    sigma_min: Number | None = Field(None, gt=0, description=SIGMA_MIN)
    sigma_max: Number | None = Field(None, gt=0, description=SIGMA_MAX)


class KarrasOptions(RangeOptions):
    """The ends and the bend of a Karras schedule."""

    rho: Number = Field(7.0, ge=1, le=100, description="More gives more steps at low noise")


class BetaOptions(RangeOptions):
    """The ends of a beta schedule and the shape of its distribution."""

    alpha: Number = Field(0.6, ge=0.1, le=10, description="Less gives more steps at low noise")
    beta: Number = Field(0.6, ge=0.1, le=10, description="Less gives more steps at high noise")


@hookimpl
def register_schedulers() -> Sequence[SchedulerSpec]:
    """The nine schedules, by the names ComfyUI gives them, with A1111's labels."""
    return (
        _spec("normal", normal, "Normal", "Evenly spaced in time"),
        _spec("simple", simple, "Simple", "Evenly taken from the trained levels"),
        _spec("karras", karras, "Karras", "Dense at low noise", KarrasOptions),
        _spec("exponential", exponential, "Exponential", "Evenly spaced in log sigma", RangeOptions),
        _spec("sgm_uniform", sgm_uniform, "SGM Uniform", "Evenly spaced in time, time 0 left out"),
        _spec("ddim_uniform", ddim_uniform, "DDIM", "Every so many timesteps, counted from 1"),
        _spec("cosine", cosine, "Cosine", "Dense in time at both ends"),
        _spec("quadratic", quadratic, "Quadratic", "Dense in time at low noise"),
        _spec("beta", beta, "Beta", "Dense at high and low noise", BetaOptions),
    )


def _spec(
    name: str,
    sigmas: Callable[..., tuple[float, ...]],
    label: str,
    description: str,
    options: type[Options] = Options,
) -> SchedulerSpec:
    return SchedulerSpec(name, sigmas, label=label, options=options, description=description)
