"""Sampling problems whose exact answers are known, so that a solver's error can be measured.

A picture at noise level sigma is alpha x0 + sigma n with unit normal n; alpha is 1 in VE space and
1 - sigma in flow space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from latentry_sdk import X


@dataclass(frozen=True)
class Gaussian:
    """Data x0 ~ N(mean, deviation^2)."""

    space: str = "ve"
    mean: float = 0.3
    deviation: float = 1.0

    def alpha(self, sigma: float) -> float:
        """What is left of the data at sigma."""
        return 1.0 if self.space == "ve" else 1.0 - sigma

    def noisy(self, sigma: float) -> NormalDist:
        """The distribution of noisy data at sigma."""
        alpha = self.alpha(sigma)
        return NormalDist(alpha * self.mean, sqrt((alpha * self.deviation) ** 2 + sigma**2))

    def denoise(self, x: X, sigma: float) -> X:
        """E[x0 | x]; in VE space (s^2 x + sigma^2 mean) / (s^2 + sigma^2)."""
        noisy, alpha = self.noisy(sigma), self.alpha(sigma)
        return (x - noisy.mean) * (alpha * self.deviation**2 / noisy.variance) + self.mean

    def move(self, x: float, now: float, nxt: float) -> float:
        """Where the exact solution that is at x at level `now` is at level `nxt`."""
        start, end = self.noisy(now), self.noisy(nxt)
        return end.mean + (x - start.mean) * (end.stdev / start.stdev)


@dataclass(frozen=True)
class Mixture:
    """Data drawn from each of `parts` alike: a denoiser that is not linear. For floats only."""

    parts: Sequence[Gaussian]

    def denoise(self, x: float, sigma: float) -> float:
        """E[x0 | x]: each part's answer, weighted by how likely x is from that part."""
        weights = [part.noisy(sigma).pdf(x) for part in self.parts]
        answers = [part.denoise(x, sigma) for part in self.parts]
        return sum(w * answer for w, answer in zip(weights, answers, strict=True)) / sum(weights)

    def quantile(self, x: float, sigma: float) -> float:
        """The part of the noisy data below x."""
        return sum(part.noisy(sigma).cdf(x) for part in self.parts) / len(self.parts)

    def move(self, x: float, now: float, nxt: float) -> float:
        """The exact solution: in one dimension it keeps its quantile. Found by bisection."""
        wanted = self.quantile(x, now)
        low, high = -100.0, 100.0
        while low < (middle := (low + high) / 2) < high:
            low, high = (middle, high) if self.quantile(middle, nxt) < wanted else (low, middle)
        return low
