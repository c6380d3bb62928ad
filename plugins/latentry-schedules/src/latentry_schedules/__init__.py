"""Noise schedules: which levels of noise a sampler visits, from the model's highest down to 0."""

from collections.abc import Callable, Sequence

from latentry_schedules.given import given_sigmas, given_timesteps
from latentry_schedules.levels import (
    beta,
    exponential,
    karras,
    kl_optimal,
    linear,
    linear_quadratic,
    polyexponential,
)
from latentry_schedules.options import (
    BetaOptions,
    KarrasOptions,
    MadeOptions,
    PolyexponentialOptions,
    RangeOptions,
    SigmasOptions,
    TableOptions,
    TimestepsOptions,
)
from latentry_schedules.published import align_your_steps
from latentry_schedules.skipping import skipping_last
from latentry_schedules.terminal import choosing_snr
from latentry_schedules.timesteps import cosine, ddim_uniform, normal, quadratic, sgm_uniform, simple
from latentry_sdk import Options, SchedulerSpec, hookimpl

VE, ANY_SPACE = frozenset({"ve"}), frozenset({"ve", "flow"})


@hookimpl
def register_schedulers() -> Sequence[SchedulerSpec]:
    """All schedules, by the names ComfyUI gives them where it has them, with A1111's labels."""
    return (
        _spec("normal", normal, "Normal", "Evenly spaced in time", aliases=("Uniform",)),
        _spec("simple", simple, "Simple", "Evenly taken from the trained levels"),
        _spec(
            "sgm_uniform",
            sgm_uniform,
            "SGM Uniform",
            "Evenly spaced in time, time 0 left out",
            aliases=("SGMUniform",),
        ),
        _spec(
            "ddim_uniform",
            ddim_uniform,
            "DDIM",
            "Every so many timesteps, counted from 1",
            aliases=("DDIM Uniform",),
        ),
        _spec("cosine", cosine, "Cosine", "Dense in time at both ends"),
        _spec("quadratic", quadratic, "Quadratic", "Dense in time at low noise"),
        _spec("karras", karras, "Karras", "Dense at low noise", KarrasOptions),
        _spec("exponential", exponential, "Exponential", "Evenly spaced in log sigma", RangeOptions),
        _spec(
            "polyexponential",
            polyexponential,
            "Polyexponential",
            "A power of even steps in log sigma",
            PolyexponentialOptions,
        ),
        _spec("linear", linear, "Linear", "Evenly spaced in sigma", RangeOptions),
        _spec("linear_quadratic", linear_quadratic, "Linear Quadratic", "Many small steps at high noise"),
        _spec("kl_optimal", kl_optimal, "KL Optimal", "Evenly spaced in arctan sigma", RangeOptions),
        _spec("beta", beta, "Beta", "Dense at high and low noise", BetaOptions),
        _spec(
            "align_your_steps",
            align_your_steps,
            "Align Your Steps",
            "Levels searched for SD 1 or SDXL, for few steps",
            TableOptions,
            aliases=("ays", "align-your-steps"),
            spaces=VE,
        ),
        _spec("sigmas", given_sigmas, "", "Noise levels that you write out", SigmasOptions),
        _spec("timesteps", given_timesteps, "", "Training timesteps that you write out", TimestepsOptions),
    )


def _spec(
    name: str,
    sigmas: Callable[..., tuple[float, ...]],
    label: str,
    description: str,
    options: type[Options] = MadeOptions,
    *,
    aliases: tuple[str, ...] = (),
    spaces: frozenset[str] = ANY_SPACE,
) -> SchedulerSpec:
    names = (label, *aliases) if label else aliases
    return SchedulerSpec(
        name,
        choosing_snr(skipping_last(sigmas) if issubclass(options, MadeOptions) else sigmas),
        label=label,
        aliases=names,
        spaces=spaces,
        options=options,
        description=description,
    )
