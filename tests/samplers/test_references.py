"""The samplers walk as the schedulers of diffusers do: same levels, same noise, the whole way.

docs/samplers.md has the table of what is measured here; with LATENTRY_WRITE_DOCS=1 these tests write it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

import latentry_samplers
from latentry_sdk.testing import stable_diffusion_range

pytestmark = [  # what the schedulers themselves cause
    pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`algorithm_types=dpmsolver` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Should have t[ab][<>]=t[01] but got:UserWarning"),
]

SAMPLERS = {spec.name: spec for spec in latentry_samplers.register_samplers()}
TRAINED = stable_diffusion_range().sigmas
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KARRAS = {**BETAS, "use_karras_sigmas": True}
SHAPE = (2, 4, 8, 8)


def denoise(x: Tensor, sigma: float) -> Tensor:
    """E[x0 | x] for values around -1 and 1: what a model sees, by a formula that is not linear."""
    variance = 0.25 + sigma**2
    return (x * 0.25 + torch.tanh(x / variance) * sigma**2) / variance


def start(sigma: float) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * sqrt(1 + sigma**2)


def drawn() -> Callable[[float, float], Tensor]:
    generator = torch.Generator().manual_seed(1)
    return lambda now, nxt: torch.randn(SHAPE, generator=generator)


Levels = Callable[[Any], list[float]]


def of_sigmas(scheduler: Any) -> list[float]:
    found: list[float] = scheduler.sigmas.double().tolist()
    return found


def without_doubles(scheduler: Any) -> list[float]:
    return list(dict.fromkeys(of_sigmas(scheduler)))


def every_second(scheduler: Any) -> list[float]:
    return [*of_sigmas(scheduler)[:-1:2], 0.0]


def of_timesteps(scheduler: Any) -> list[float]:
    return [*(TRAINED[int(t)] for t in scheduler.timesteps), 0.0]


def of_betas(scheduler: Any) -> list[float]:
    return [beta / sqrt(1 - beta**2) for beta in scheduler.betas.double().tolist()]


def itself(now: float, _nxt: float) -> list[float]:
    return [now]


def and_next(now: float, nxt: float) -> list[float]:
    return [now, nxt] if nxt else [now]


def and_middle(now: float, nxt: float) -> list[float]:
    return [now, sqrt(now * nxt)] if nxt else [now]


def and_middle_below(now: float, nxt: float) -> list[float]:
    return and_middle(now, nxt * (nxt / now))


@dataclass(frozen=True)
class Reference:
    """How a scheduler of diffusers is made to compute what the sampler computes.

    `calls(now, nxt)` are the levels at which a step calls the model; `unit` says that it holds pictures of
    unit variance, `last` that its last step is the sampler's too, `velocity` that its model gives v.
    """

    sampler: str
    scheduler: str
    config: dict[str, Any]
    steps: int = 15
    levels: Levels = of_sigmas
    calls: Callable[[float, float], list[float]] = itself
    unit: bool = True
    last: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    draws: bool = False
    velocity: bool = False

    def __str__(self) -> str:
        return f"{self.sampler}-{self.scheduler}"

    def way(self) -> tuple[list[float], list[Tensor]]:
        """The levels, and the picture at each of them as the scheduler has it."""
        scheduler = getattr(diffusers, self.scheduler)(**self.config)
        scheduler.set_timesteps(self.steps)
        if hasattr(scheduler, "sigmas"):
            scheduler.sigmas = scheduler.sigmas.double()  # its coefficients lose digits in single precision
        sigmas = self.levels(scheduler)
        if hasattr(scheduler, "noise_sampler"):
            scheduler.noise_sampler = one_path(sigmas)
        asked = [(sigma, i == 0) for pair in pairwise(sigmas) for i, sigma in enumerate(self.calls(*pair))]
        assert len(asked) == len(scheduler.timesteps)
        drawing = {"generator": torch.Generator().manual_seed(1)} if self.draws else {}
        x, way = start(sigmas[0]) / self.scale(sigmas[0]), list[Tensor]()
        for timestep, (sigma, first) in zip(scheduler.timesteps, asked, strict=True):
            whole = x * self.scale(sigma)
            if first:
                way.append(whole)
            scheduler.scale_model_input(x, timestep)
            x = scheduler.step(
                self.output(whole, sigma), timestep, x, **self.arguments, **drawing
            ).prev_sample
        return sigmas, [*way, x]

    def scale(self, sigma: float) -> float:
        return sqrt(1 + sigma**2) if self.unit else 1.0

    def output(self, x: Tensor, sigma: float) -> Tensor:
        """What a model of the scheduler's kind would give: the noise, or v."""
        clean = denoise(x, sigma)
        noise = (x - clean) / sigma
        return (noise - clean * sigma) / sqrt(1 + sigma**2) if self.velocity else noise

    def difference(self) -> float:
        """The largest difference on the way, relative to the largest value of the picture there."""
        sigmas, theirs = self.way()
        ours = walked(self.sampler, sigmas, **self.options)
        assert len(ours) == len(theirs) == len(sigmas)
        return largest(ours[: None if self.last else -1], theirs)


def walked(sampler: str, sigmas: Sequence[float], **options: Any) -> list[Tensor]:
    """The pictures at each level as our sampler has them."""
    spec, way = SAMPLERS[sampler], list[Tensor]()
    given = {"noise": one_path(sigmas) if sampler == "dpmpp_sde" else drawn()} if spec.stochastic else {}
    arguments = {**dict(spec.options()), **options, **given}

    def watch(_index: int, x: Tensor, _clean: Tensor) -> None:
        way.append(x)

    end = spec.sample(denoise, start(sigmas[0]), tuple(sigmas), on_step=watch, **arguments)
    return [*way, end]


def largest(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=False))


EVEN = [sigma / sqrt(1 + sigma**2) for sigma in (*(14.0 * 0.7**i for i in range(15)), 0.0)]
"""For IPNDM, which is given betas: those of levels that fall evenly."""

ACCURATE = {"solver_order": 2, "final_sigmas_type": "zero"}
REFERENCES = [
    Reference("euler", "EulerDiscreteScheduler", KARRAS, unit=False),
    Reference("heun", "HeunDiscreteScheduler", KARRAS, levels=without_doubles, calls=and_next, unit=False),
    Reference(
        "dpm_2", "KDPM2DiscreteScheduler", KARRAS, levels=without_doubles, calls=and_middle, unit=False
    ),
    Reference("lms", "LMSDiscreteScheduler", KARRAS, unit=False, last=False),
    Reference("ipndm", "IPNDMScheduler", {"trained_betas": EVEN}, levels=of_betas, last=False, velocity=True),
    Reference("deis", "DEISMultistepScheduler", {**KARRAS, "solver_order": 3}, last=False),
    Reference(
        "dpm_fast",
        "DPMSolverSinglestepScheduler",
        {
            **KARRAS,
            "algorithm_type": "dpmsolver",
            "solver_order": 3,
            "solver_type": "heun",
            "final_sigmas_type": "sigma_min",
        },
        last=False,
    ),
    Reference("dpmpp_2m", "DPMSolverMultistepScheduler", {**KARRAS, **ACCURATE}),
    Reference("res_multistep", "DPMSolverMultistepScheduler", {**KARRAS, **ACCURATE, "solver_type": "heun"}),
    Reference("uni_pc", "UniPCMultistepScheduler", {**KARRAS, "solver_order": 3, "solver_type": "bh1"}),
    Reference("uni_pc_bh2", "UniPCMultistepScheduler", {**KARRAS, "solver_order": 3, "solver_type": "bh2"}),
    Reference("euler_ancestral", "EulerAncestralDiscreteScheduler", BETAS, unit=False, draws=True),
    Reference(
        "dpm_2_ancestral",
        "KDPM2AncestralDiscreteScheduler",
        KARRAS,
        levels=without_doubles,
        calls=and_middle_below,
        unit=False,
        draws=True,
    ),
    Reference(
        "dpmpp_2s_ancestral",
        "DPMSolverSinglestepScheduler",
        {**BETAS, "use_exponential_sigmas": True, **ACCURATE},
        levels=every_second,
        calls=and_middle,
        options={"eta": 0.0},
    ),
    Reference(
        "dpmpp_sde",
        "DPMSolverSDEScheduler",
        {**KARRAS, "noise_sampler_seed": 7},
        levels=without_doubles,
        calls=and_middle,
        unit=False,
    ),
    Reference(
        "dpmpp_2m_sde",
        "DPMSolverMultistepScheduler",
        {**KARRAS, **ACCURATE, "algorithm_type": "sde-dpmsolver++"},
        draws=True,
    ),
    Reference(
        "dpmpp_2m_sde_heun",
        "DPMSolverMultistepScheduler",
        {**KARRAS, **ACCURATE, "algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
        draws=True,
    ),
    Reference(
        "dpmpp_3m_sde",
        "DPMSolverMultistepScheduler",
        {**KARRAS, **ACCURATE, "solver_order": 3, "solver_type": "heun", "lower_order_final": False},
        options={"eta": 0.0},
    ),
    Reference(
        "sa_solver",
        "SASolverScheduler",
        {
            **KARRAS,
            "predictor_order": 3,
            "corrector_order": 4,
            "lower_order_final": False,
            "tau_func": lambda _: 1,
        },
        last=False,
        draws=True,
    ),
    Reference(
        "ddim",
        "DDIMScheduler",
        {**BETAS, "clip_sample": False},
        levels=of_timesteps,
        options={"eta": 0.6},
        arguments={"eta": 0.6},
        draws=True,
    ),
    Reference("ddpm", "DDPMScheduler", {**BETAS, "clip_sample": False}, levels=of_timesteps, draws=True),
    Reference("lcm", "LCMScheduler", BETAS, steps=8, levels=of_timesteps, draws=True),
    Reference("tcd", "TCDScheduler", BETAS, steps=8, levels=of_timesteps, last=False, draws=True),
]


def one_path(sigmas: Sequence[float]) -> Callable[[float, float], Tensor]:
    """The Brownian motion that DPMSolverSDEScheduler makes of its seed, asked at times of five digits.

    It is cut at its tolerance: last bits of times, which differ between processors, would change it.
    """
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    noise = BrownianTreeNoiseSampler(torch.zeros(SHAPE), min(sigmas[:-1]), max(sigmas), seed=7)
    return lambda now, nxt: noise(*(torch.tensor(float(f"{float(time):.4e}")) for time in (now, nxt)))


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_a_sampler_walks_as_its_reference(reference: Reference, measured: Any) -> None:
    measured.check(reference.sampler, f"`{reference.scheduler}`", reference.difference())


def test_the_table_has_these_references(measured: Any) -> None:
    listed = {row for row in measured.rows() if row[1].endswith("Scheduler`")}
    assert listed == {(reference.sampler, f"`{reference.scheduler}`") for reference in REFERENCES}
