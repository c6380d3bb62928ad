"""What samplers share: a step towards a clean picture, the share of fresh noise, and Adams' weights.

Samplers go down the noise levels `sigmas`, asking `denoise` for the clean picture. They use nothing but
+ - * / on pictures, so floats, numpy and torch do alike. A step to sigma 0 gives the clean picture itself,
not one that differs by rounding.
"""

from collections.abc import Callable, Sequence
from math import exp, log, sqrt
from typing import TypeVar

from latentry_sdk import X

T = TypeVar("T")

Fresh = Callable[[float, float], X]
"""`noise(now, nxt)`: unit normal noise for the step from level `now` to `nxt`."""


def ignore(index: int, x: object, clean: object) -> None:
    """Watch a step and do nothing."""


def towards(clean: X, x: X, now: float, nxt: float) -> X:
    """Along the line from `x` at `now` to `clean` at 0, as far as `nxt`: Euler's step.

    For a clean picture that stays the same it is exact, whatever the size of the step.
    """
    return clean + (x - clean) * (nxt / now)


def split(now: float, nxt: float, eta: float) -> tuple[float, float]:
    """The level to step down to, and the deviation of the fresh noise that leads back up to `nxt`.

    up^2 = eta^2 nxt^2 (1 - nxt^2 / now^2) and down^2 = nxt^2 - up^2: eta 1 is the posterior of
    arXiv:2006.11239 equation 7 in sigma.
    """
    fresh = eta * eta * (1 - (nxt / now) ** 2)
    return nxt * sqrt(1 - fresh), nxt * sqrt(fresh)


def blend(weights: Sequence[float], pictures: Sequence[X]) -> X:
    """The sum of `pictures`, each times its weight."""
    total = pictures[0] * weights[0]
    for weight, picture in zip(weights[1:], pictures[1:], strict=True):
        total = total + picture * weight
    return total


def latest(value: T, past: Sequence[T], count: int) -> list[T]:
    """`value` before what is `past`, newest first, `count` in all."""
    return [value, *past][:count]


def adams(nodes: Sequence[float], step: float, rate: float) -> list[float]:
    """Weights w with sum w_j f(nodes_j) = integral from 0 to `step` of e^(rate s) p(s) ds.

    p is the polynomial through the values of f at the nodes, so w is exact where f is such a polynomial.
    With rate 0 these are the formulas of Adams and Bashforth for steps of any size. Of nodes that rounding
    has made equal the first counts alone.
    """
    distinct = [*dict.fromkeys(nodes)]
    integrals = [_moment(power, step, rate) for power in range(len(distinct))]
    bases = [_lagrange(distinct, j) for j in range(len(distinct))]
    weights = [sum(c * m for c, m in zip(basis, integrals, strict=True)) for basis in bases]
    left = dict(zip(distinct, weights, strict=True))
    return [left.pop(node, 0.0) for node in nodes]


def _lagrange(nodes: Sequence[float], one: int) -> list[float]:
    """The coefficients, lowest first, of the polynomial that is 1 at node `one` and 0 at the others."""
    basis = [1.0]
    for other, node in enumerate(nodes):
        if other != one:
            width = nodes[one] - node
            shifted, scaled = [0.0, *basis], [*(c * node for c in basis), 0.0]
            basis = [(high - low) / width for high, low in zip(shifted, scaled, strict=True)]
    return basis


def _moment(power: int, step: float, rate: float) -> float:
    """The integral from 0 to `step` of e^(rate s) s^power ds, by its power series."""
    term, total, n = step ** (power + 1), 0.0, 0
    while abs(term) > 1e-18 * abs(total):
        total += term / (power + 1 + n)
        n += 1
        term *= rate * step / n
    return total


def slope_step(x: X, slopes: Sequence[tuple[float, X]], now: float, nxt: float) -> X:
    """From `now` to `nxt` along dx = slope dsigma; slopes, the newest first, lie on a polynomial in sigma."""
    weights = adams([sigma - now for sigma, _ in slopes], nxt - now, 0.0)
    return x + blend(weights, [slope for _, slope in slopes])


def log_slope_step(x: X, slopes: Sequence[tuple[float, X]], now: float, nxt: float) -> X:
    """The same with slopes on a polynomial in -log sigma, where dsigma = -now e^-s ds."""
    weights = adams([log(now / sigma) for sigma, _ in slopes], log(now / nxt), -1.0)
    return x + blend([-now * weight for weight in weights], [slope for _, slope in slopes])


def clean_step(x: X, cleans: Sequence[tuple[float, X]], now: float, nxt: float, eta: float = 0.0) -> X:
    """From `now` to `nxt` with clean pictures on a polynomial in s = -log sigma, without fresh noise.

    x e^(-r h) + r e^(-r h) integral from 0 to h of e^(r s) clean(s) ds, with h = log(now / nxt), r = 1 + eta:
    the exact solution of arXiv:2211.01095 for eta 0 and of arXiv:2309.05019 for eta = tau^2.
    """
    step, rate = log(now / nxt), 1 + eta
    weights = adams([log(now / sigma) for sigma, _ in cleans], step, rate)
    kept = exp(-rate * step)
    return x * kept + blend([rate * kept * weight for weight in weights], [clean for _, clean in cleans])


def fresh_noise(now: float, nxt: float, eta: float) -> float:
    """The deviation of the noise that belongs to such a step: nxt sqrt(1 - e^(-2 eta h))."""
    return nxt * sqrt(1 - (nxt / now) ** (2 * eta))
