"""The samplers as the host knows them: by ComfyUI's names, with A1111's as labels and aliases.

In both spaces the ordinary equation is dx/dsigma = (x - x0) / sigma, so its solvers serve both. Fresh noise
is scaled for x = x0 + sigma n alone, and so are the steps of CFG++.
"""

from collections.abc import Callable
from typing import Any, Literal

from latentry_samplers import cfg_pp, distilled, euler, multistep, predictor_corrector, sde, stages
from latentry_samplers.adaptive import dpm_adaptive
from latentry_samplers.er_sde import er_sde
from latentry_samplers.options import (
    AdaptiveOptions,
    AncestralOptions,
    DdimOptions,
    Dpmpp2mSdeOptions,
    GradientEstimationOptions,
    LmsOptions,
    SaSolverOptions,
    TcdOptions,
    ThirdOrderOptions,
)
from latentry_sdk import Options, SamplerSpec


def _spec(
    sample: Callable[..., Any],
    order: int,
    label: str,
    *aliases: str,
    about: str,
    options: type[Options] = Options,
    stochastic: bool | Literal["brownian"] = False,
    unguided: bool = False,
) -> SamplerSpec:
    """A sampler by its function's name, found by its label too; an ordinary one serves both spaces."""
    name, known = sample.__name__, (label.lower(), *aliases)
    return SamplerSpec(
        name,
        sample,
        order=order,
        stochastic=stochastic,
        unguided=unguided,
        spaces=frozenset({"ve"} if stochastic or unguided else {"ve", "flow"}),
        label=label,
        aliases=tuple(alias for alias in known if alias != name),
        options=options,
        description=about,
    )


ORDINARY = (
    _spec(euler.euler, 1, "Euler", "k_euler", about="Plain and steady, first order"),
    _spec(stages.heun, 2, "Heun", "k_heun", about="Exact for its steps, two model calls each"),
    _spec(stages.heunpp2, 1, "HeunPP2", about="Smooths over three levels, three model calls a step"),
    _spec(stages.dpm_2, 2, "DPM2", "k_dpm_2", about="Exact for its steps, two model calls each"),
    _spec(multistep.lms, 2, "LMS", "k_lms", options=LmsOptions, about="Four slopes, for many even steps"),
    _spec(multistep.ipndm, 2, "IPNDM", about="Four slopes, weighted as for equal steps"),
    _spec(multistep.ipndm_v, 2, "IPNDM_V", about="Four slopes, weighted for the steps there are"),
    _spec(multistep.deis, 2, "DEIS", options=ThirdOrderOptions, about="Few steps, three slopes in log sigma"),
    _spec(multistep.dpm_fast, 3, "DPM fast", "k_dpm_fast", about="Three levels make a third-order step"),
    _spec(multistep.dpmpp_2m, 2, "DPM++ 2M", "k_dpmpp_2m", about="Good pictures in 20 steps"),
    _spec(multistep.res_multistep, 2, "Res Multistep", about="DPM++ 2M with exact weights"),
    _spec(
        predictor_corrector.uni_pc,
        3,
        "UniPC",
        options=ThirdOrderOptions,
        about="Few steps, predicted and corrected",
    ),
    _spec(
        predictor_corrector.uni_pc_bh2,
        3,
        "UniPC BH2",
        options=ThirdOrderOptions,
        about="UniPC with another start and end",
    ),
    _spec(
        euler.gradient_estimation,
        1,
        "Gradient Estimation",
        options=GradientEstimationOptions,
        about="Euler, ahead of its slope's change",
    ),
)

STOCHASTIC = (
    _spec(
        euler.euler_ancestral,
        1,
        "Euler a",
        "k_euler_a",
        "k_euler_ancestral",
        options=AncestralOptions,
        stochastic=True,
        about="Euler with fresh noise at each step",
    ),
    _spec(
        stages.dpm_2_ancestral,
        2,
        "DPM2 a",
        "k_dpm_2_a",
        options=AncestralOptions,
        stochastic=True,
        about="DPM2 with fresh noise, two model calls a step",
    ),
    _spec(
        stages.dpmpp_2s_ancestral,
        2,
        "DPM++ 2S a",
        "k_dpmpp_2s_a",
        options=AncestralOptions,
        stochastic=True,
        about="Second order with fresh noise, two model calls a step",
    ),
    _spec(
        multistep.res_multistep_ancestral,
        2,
        "Res Multistep Ancestral",
        options=AncestralOptions,
        stochastic=True,
        about="Second order with fresh noise, one model call a step",
    ),
    _spec(
        sde.dpmpp_sde,
        2,
        "DPM++ SDE",
        "k_dpmpp_sde",
        options=AncestralOptions,
        stochastic="brownian",
        about="Detail in few steps, two model calls each",
    ),
    _spec(
        sde.dpmpp_2m_sde,
        2,
        "DPM++ 2M SDE",
        "k_dpmpp_2m_sde",
        options=Dpmpp2mSdeOptions,
        stochastic="brownian",
        about="DPM++ 2M with fresh noise: rich detail",
    ),
    _spec(
        sde.dpmpp_2m_sde_heun,
        2,
        "DPM++ 2M SDE Heun",
        "k_dpmpp_2m_sde_heun",
        options=AncestralOptions,
        stochastic="brownian",
        about="DPM++ 2M SDE with exact weights",
    ),
    _spec(
        sde.dpmpp_3m_sde,
        2,
        "DPM++ 3M SDE",
        "k_dpmpp_3m_sde",
        options=AncestralOptions,
        stochastic="brownian",
        about="Fresh noise, for 30 steps and more",
    ),
    _spec(er_sde, 2, "ER SDE", stochastic=True, about="Fresh noise that fades early"),
    _spec(
        predictor_corrector.sa_solver,
        2,
        "SA Solver",
        options=SaSolverOptions,
        stochastic=True,
        about="Fresh noise, predicted and corrected",
    ),
    _spec(
        euler.ddim, 1, "DDIM", "k_ddim", options=DdimOptions, stochastic=True, about="Euler; eta adds noise"
    ),
    _spec(euler.ddpm, 1, "DDPM", stochastic=True, about="As models are trained, for many steps"),
)

CFG_PP = (
    _spec(cfg_pp.euler_cfg_pp, 1, "Euler CFG++", unguided=True, about="Euler along the noise without prompt"),
    _spec(
        cfg_pp.dpmpp_2m_cfg_pp,
        2,
        "DPM++ 2M CFG++",
        unguided=True,
        about="DPM++ 2M along the noise without prompt",
    ),
    _spec(
        cfg_pp.res_multistep_cfg_pp,
        2,
        "Res Multistep CFG++",
        unguided=True,
        about="Res Multistep along the noise without prompt",
    ),
    _spec(
        cfg_pp.gradient_estimation_cfg_pp,
        1,
        "Gradient Estimation CFG++",
        options=GradientEstimationOptions,
        unguided=True,
        about="Gradient Estimation along the noise without prompt",
    ),
    _spec(
        cfg_pp.euler_ancestral_cfg_pp,
        1,
        "Euler a CFG++",
        "euler ancestral cfg++",
        options=AncestralOptions,
        stochastic=True,
        unguided=True,
        about="Euler a along the noise without prompt",
    ),
    _spec(
        cfg_pp.dpmpp_2s_ancestral_cfg_pp,
        2,
        "DPM++ 2S a CFG++",
        "dpm++ 2s ancestral cfg++",
        options=AncestralOptions,
        stochastic=True,
        unguided=True,
        about="DPM++ 2S a along the noise without prompt, two model calls a step",
    ),
)

DISTILLED = (
    _spec(distilled.lcm, 1, "LCM", "k_lcm", stochastic=True, about="For LCM models, 2 to 8 steps"),
    _spec(distilled.tcd, 1, "TCD", options=TcdOptions, stochastic=True, about="For TCD models, 2 to 8 steps"),
)

ADAPTIVE = (
    _spec(
        dpm_adaptive,
        3,
        "DPM adaptive",
        "k_dpm_ad",
        options=AdaptiveOptions,
        stochastic=True,
        about="Chooses its own steps, as many as the error asks for",
    ),
)
