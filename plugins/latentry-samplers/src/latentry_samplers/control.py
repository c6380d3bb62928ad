"""How large the next step may be, by the errors of those before."""

from dataclasses import dataclass
from math import atan

LARGEST = 1e30
"""Errors above it count as this much, so that powers of them stay finite."""


@dataclass
class Controller:
    """A PID controller of the step size: Söderlind, "Digital filters in adaptive time-stepping", 2003.

    With e0, e1, e2 the errors of this step and the two accepted before it, as parts of what is allowed, the
    size is multiplied by 1 + atan(f - 1), where f = e0^-b0 e1^-b1 e2^-b2, b0 = (p + i + d) / order,
    b1 = -(p + 2 d) / order and b2 = d / order. A step is accepted if that factor is `safety` or more.
    These are k-diffusion's limiter and rule.
    """

    size: float
    order: float
    p: float
    i: float
    d: float
    safety: float
    _past: tuple[float, float] | None = None

    def accepts(self, error: float) -> bool:
        """Whether a step with this error stands; `size` is set for the next one, or for its repetition."""
        inverse = 1 / (min(error, LARGEST) + 1e-8)
        one, two = self._past or (inverse, inverse)
        wanted = inverse ** ((self.p + self.i + self.d) / self.order)
        wanted *= one ** (-(self.p + 2 * self.d) / self.order) * two ** (self.d / self.order)
        factor = 1 + atan(wanted - 1)
        self.size *= factor
        accepted = factor >= self.safety
        self._past = (inverse, one) if accepted else (one, two)
        return accepted
