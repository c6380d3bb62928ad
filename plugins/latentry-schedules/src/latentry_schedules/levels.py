"""Schedules that choose noise levels directly, between the model's ends or the user's."""

from collections.abc import Callable
from math import atan, tan

from latentry_schedules.falling import check_end, falling, fractions
from latentry_schedules.quantile import beta_quantile
from latentry_sdk import InvalidRequest, ModelRange

THRESHOLD = 0.025
"""What the straight half of `linear_quadratic` falls by, of the highest level."""


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


def polyexponential(
    steps: int,
    model_range: ModelRange,
    /,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    rho: float = 1.0,
) -> tuple[float, ...]:
    """A power of even fractions in log sigma, from k-diffusion; with rho = 1 it is `exponential`."""
    low, high = _ends(model_range, sigma_min, sigma_max)
    return _between(low, high, steps, lambda part: low * (high / low) ** ((1 - part) ** rho))


def linear(
    steps: int, model_range: ModelRange, /, *, sigma_min: float | None = None, sigma_max: float | None = None
) -> tuple[float, ...]:
    """Evenly spaced in sigma: arXiv:2206.00364 equation 5 with rho = 1."""
    low, high = _ends(model_range, sigma_min, sigma_max)
    return _between(low, high, steps, lambda part: high + part * (low - high))


def kl_optimal(
    steps: int, model_range: ModelRange, /, *, sigma_min: float | None = None, sigma_max: float | None = None
) -> tuple[float, ...]:
    """Evenly spaced in arctan sigma, the optimum for Gaussian data of variance 1 in arXiv:2404.14507."""
    low, high = _ends(model_range, sigma_min, sigma_max)
    return _between(low, high, steps, lambda part: tan(part * atan(low) + (1 - part) * atan(high)))


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


def linear_quadratic(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Half the steps straight down by 2.5 %, the rest on a parabola to 0: arXiv:2410.13720, made for Mochi.

    With L = steps // 2 straight steps of N and a threshold p, the level at step i, of the highest, is
    1 - p i / L - (1 - p N / L) (max(i - L, 0) / (N - L))^2. There is no kink at L.
    """
    straight = max(steps // 2, 1)
    slope = THRESHOLD / straight

    def level(i: int) -> float:
        bend = max(i - straight, 0) / max(steps - straight, 1)
        return model_range.sigma_max * (1 - slope * i - (1 - slope * steps) * bend**2)

    return falling(map(level, range(steps)))


def _ends(model_range: ModelRange, sigma_min: float | None, sigma_max: float | None) -> tuple[float, float]:
    low = model_range.sigma_min if sigma_min is None else sigma_min
    high = model_range.sigma_max if sigma_max is None else sigma_max
    if not low < high:
        raise InvalidRequest(f"sigma_min {low:g} is not below sigma_max {high:g}", fix="leave one out")
    check_end("sigma_max", high, model_range)
    return low, high


def _between(low: float, high: float, steps: int, level: Callable[[float], float]) -> tuple[float, ...]:
    """`level` at even fractions, with the ends free of rounding."""
    inner = fractions(steps)[1:-1]
    return falling((high, *map(level, inner), *([low] if steps > 1 else [])))
