"""The noise levels a checkpoint was trained on, from its scheduler's betas, in plain floats."""

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import sqrt
from operator import mul
from typing import Any

from latentry_sdk import InvalidModel, ModelRange
from latentry_sdk.levels import zero_terminal

MAX_TIMESTEPS = 100_000


def linear(start: float, end: float, count: int) -> list[float]:
    """Evenly spaced betas."""
    return [start + (end - start) * i / (count - 1) for i in range(count)]


def scaled_linear(start: float, end: float, count: int) -> list[float]:
    """Betas whose roots are evenly spaced, as all Stable Diffusion models were trained."""
    return [root * root for root in linear(sqrt(start), sqrt(end), count)]


SCHEDULES: Mapping[str, Callable[[float, float, int], list[float]]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
}


def model_range(scheduler: Mapping[str, Any]) -> ModelRange:
    """sigma = sqrt((1 - a) / a), where a is the product of 1 - beta up to each timestep."""
    betas = scheduler.get("trained_betas") or _betas(scheduler)
    if not 2 <= len(betas) <= MAX_TIMESTEPS or not all(0 < beta < 1 for beta in betas):
        raise InvalidModel("its scheduler's betas are not between 0 and 1")
    alphas = accumulate((1 - beta for beta in betas), mul)
    levels = ModelRange(tuple(sqrt((1 - alpha) / alpha) for alpha in alphas))
    return zero_terminal(levels) if scheduler.get("rescale_betas_zero_snr") else levels


def _betas(scheduler: Mapping[str, Any]) -> list[float]:
    name = scheduler.get("beta_schedule", "scaled_linear")
    count = scheduler.get("num_train_timesteps", 1000)
    if name not in SCHEDULES:
        raise InvalidModel(f"its scheduler has an unknown beta_schedule; known: {', '.join(SCHEDULES)}")
    if type(count) is not int or not 2 <= count <= MAX_TIMESTEPS:
        raise InvalidModel(f"its scheduler's num_train_timesteps is not between 2 and {MAX_TIMESTEPS}")
    return SCHEDULES[name](scheduler.get("beta_start", 0.00085), scheduler.get("beta_end", 0.012), count)
