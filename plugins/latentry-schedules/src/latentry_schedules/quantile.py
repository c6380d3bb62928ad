"""The quantile function of the beta distribution, without scipy, so that planning a job stays light."""

from math import exp, lgamma, log

TINY = 1e-300
CLOSE = 1e-15


def beta_quantile(part: float, alpha: float, beta: float) -> float:
    """The x in 0 … 1 below which `part` of the distribution lies: scipy's `beta.ppf`."""
    if part <= 0 or part >= 1:
        return 0.0 if part <= 0 else 1.0
    if part > beta_cdf(0.5, alpha, beta):
        return 1 - _lower_half(1 - part, beta, alpha)
    return _lower_half(part, alpha, beta)


def beta_cdf(x: float, alpha: float, beta: float) -> float:
    """The part of the distribution below x, the regularised incomplete beta function, DLMF 8.17."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (alpha + 1) / (alpha + beta + 2):
        return 1 - beta_cdf(1 - x, beta, alpha)
    front = exp(alpha * log(x) + beta * log(1 - x) - _log_beta(alpha, beta)) / alpha
    return front * _continued_fraction(x, alpha, beta)


def _lower_half(part: float, alpha: float, beta: float) -> float:
    """The quantile where it is 0.5 or less: Newton's method on logarithms, kept in bounds by bisection."""
    low, high = 0.0, 0.5
    x = min(0.5, exp((log(part) + log(alpha) + _log_beta(alpha, beta)) / alpha))  # exact as x goes to 0
    if x < TINY:
        return x
    for _ in range(100):
        found = beta_cdf(x, alpha, beta)
        low, high = (x, high) if found < part else (low, x)
        density = exp((alpha - 1) * log(x) + (beta - 1) * log(1 - x) - _log_beta(alpha, beta))
        guess = x * exp(log(part / found) * found / (x * density))
        if not low <= guess <= high:
            guess = (low + high) / 2
        if abs(guess - x) <= CLOSE * x:
            return guess
        x = guess
    return x


def _continued_fraction(x: float, alpha: float, beta: float) -> float:
    """DLMF 8.17.22 by the modified Lentz method; converges fast below (alpha + 1) / (alpha + beta + 2)."""
    upper, lower = 1.0, 1 / _away_from_zero(1 - (alpha + beta) * x / (alpha + 1))
    value = lower
    for m in range(1, 1000):
        even = m * (beta - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m))
        odd = -(alpha + m) * (alpha + beta + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1))
        for term in (even, odd):
            upper = _away_from_zero(1 + term / upper)
            lower = 1 / _away_from_zero(1 + term * lower)
            value *= upper * lower
        if abs(upper * lower - 1) < CLOSE:
            break
    return value


def _log_beta(alpha: float, beta: float) -> float:
    return lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)


def _away_from_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
