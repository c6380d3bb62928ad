"""Schedules that choose noise levels directly, between the model's ends or the user's."""

from collections.abc import Callable

from latentry_schedules.falling import falling, fractions
from latentry_schedules.quantile import beta_quantile
from latentry_sdk import InvalidRequest, ModelRange


def karras(
    steps: int,
    model_range: ModelRange,
    /,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    rho: float = 7.0,
) -> tuple[float, ...]:
    """Evenly spaced in sigma^(1 / rho), arXiv:2206.00364 equation 5."""
    low, high = _ends(model_range, sigma_min, sigma_max)
    top, bottom = high ** (1 / rho), low ** (1 / rho)
    return _between(low, high, steps, lambda part: (top + part * (bottom - top)) ** rho)


def exponential(
    steps: int, model_range: ModelRange, /, *, sigma_min: float | None = None, sigma_max: float | None = None
) -> tuple[float, ...]:
    """Evenly spaced in log sigma."""
    low, high = _ends(model_range, sigma_min, sigma_max)
    return _between(low, high, steps, lambda part: high * (low / high) ** part)


def beta(
    steps: int,
    model_range: ModelRange,
    /,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    alpha: float = 0.6,
    beta: float = 0.6,
) -> tuple[float, ...]:
    """Quantiles of a beta distribution over the noise levels, arXiv:2407.12173.

    A1111 and diffusers read the paper so; ComfyUI takes the quantiles over timesteps.
    """
    low, high = _ends(model_range, sigma_min, sigma_max)
    return _between(low, high, steps, lambda part: low + beta_quantile(1 - part, alpha, beta) * (high - low))


def _ends(model_range: ModelRange, sigma_min: float | None, sigma_max: float | None) -> tuple[float, float]:
    low = model_range.sigma_min if sigma_min is None else sigma_min
    high = model_range.sigma_max if sigma_max is None else sigma_max
    if not low < high:
        raise InvalidRequest(f"sigma_min {low:g} is not below sigma_max {high:g}", fix="leave one out")
    if model_range.space == "flow" and high > 1:
        raise InvalidRequest(f"sigma_max {high:g} is above 1, where a flow model ends", fix="give 1 or less")
    return low, high


def _between(low: float, high: float, steps: int, level: Callable[[float], float]) -> tuple[float, ...]:
    """`level` at even fractions, with the ends free of rounding."""
    inner = fractions(steps)[1:-1]
    return falling((high, *map(level, inner), *([low] if steps > 1 else [])))
