"""DPM-Solver with steps as large as their errors allow: of a schedule it takes the ends alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import exp, isfinite, log, sqrt
from typing import Any, Generic

from latentry_samplers.control import Controller
from latentry_samplers.steps import Fresh, ignore, log_slope_step, split, towards
from latentry_sdk import Denoise, InvalidModel, InvalidRequest, OnStep, Unavailable, X
from latentry_sdk.images import alone, images_of, joined

MOST_CALLS = 1000
"""Of the model, for one image: what is not at the end by then hardly gets there."""

SMALLEST = 1e-6
"""A step in log sigma that is not even tried; one that ends so near the end goes there."""


def dpm_adaptive(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    pcoeff: float = 0.0,
    icoeff: float = 1.0,
    dcoeff: float = 0.0,
    accept_safety: float = 0.81,
    eta: float = 0.0,
) -> X:
    """DPM-Solver-12 or -23, arXiv:2206.00927 appendix C, with steps controlled as k-diffusion does.

    Each image has levels of its own, so that it does not depend on the others of its batch; they are solved
    one after another. `on_step` is told every step that is tried, with the picture of one image; its index is
    that of the schedule's step at the same share of the way, in log sigma.

    Raises `InvalidModel` where the model's pictures are not finite, `InvalidRequest` where steps get too
    small or too many, and `Unavailable` for pictures that are neither numbers nor of torch or numpy.
    """
    if not hasattr(x, "__abs__"):
        raise Unavailable("dpm_adaptive cannot measure this model's pictures", fix="name another sampler")
    ends, drawn, images = list[X](), list[list[X]](), images_of(x)
    for index, image in enumerate(images):
        solver = _Solver(
            _limited(alone(denoise, index, x)),
            partial(_fresh, noise, drawn, index, count()),
            partial(_tell, on_step, sigmas, (index, len(images))),
            Controller(h_init, 1.5 if eta else order, pcoeff, icoeff, dcoeff, accept_safety),
            partial(_error, rtol=rtol, atol=atol),
            _PAIRS[order],
            eta,
        )
        ends.append(solver.solve(image, sigmas[0], sigmas[-2]))
    return joined(ends)


@dataclass(frozen=True)
class _Solver(Generic[X]):
    """Solves for one image. `error` compares two solutions, and `pair` makes them."""

    denoise: Denoise[X]
    noise: Fresh[X]
    tell: Callable[[float, X, X], None]
    controller: Controller
    error: Callable[[X, X, X], float]
    pair: Callable[[Denoise[X], X, X, float, float], tuple[X, X]]
    eta: float

    def solve(self, x: X, now: float, end: float) -> X:
        """From `x` at level `now` down to `end`, and from there to the clean picture."""
        before, clean = x, self.denoise(x, now)
        while now > end:
            x, before, now = self._step(x, before, clean, now, end)
            clean = self.denoise(x, now)
        self.tell(now, x, clean)
        return clean

    def _step(self, x: X, before: X, clean: X, now: float, end: float) -> tuple[X, X, float]:
        """The first step that is accepted: the picture, the rougher solution beside it, and their level."""
        while self.controller.size > SMALLEST:
            self.tell(now, x, clean)
            nxt = now * exp(-self.controller.size)
            nxt = end if log(nxt / end) < SMALLEST else nxt
            down = max(split(now, nxt, self.eta)[0], end)
            rough, fine = self.pair(self.denoise, x, clean, now, down)
            error = self.error(rough, fine, before)
            if not isfinite(error):
                raise InvalidModel(f"the model gives no finite picture below the noise level {now:.3g}")
            if self.controller.accepts(error):
                up = sqrt(nxt * nxt - down * down)
                return (fine + self.noise(now, nxt) * up if up > 0 else fine), rough, nxt
        raise InvalidRequest(
            f"dpm_adaptive finds no step that is small enough at the noise level {now:.3g}",
            fix="raise rtol and atol, or name another sampler",
        )


def _second(denoise: Denoise[X], x: X, clean: X, now: float, nxt: float) -> tuple[X, X]:
    """Solutions of first and second order: DPM-Solver-1, and -2 with its middle at half of the way."""
    middle = sqrt(now * nxt)
    rough = towards(clean, x, now, nxt)
    guess = towards(clean, x, now, middle)
    return rough, x + (guess - denoise(guess, middle)) * ((nxt - now) / middle)


def _third(denoise: Denoise[X], x: X, clean: X, now: float, nxt: float) -> tuple[X, X]:
    """Solutions of second and third order: DPM-Solver-2 with its middle at a third, and DPM-Solver-3."""
    one, two = (now * (nxt / now) ** (part / 3) for part in (1, 2))
    guess, first = towards(clean, x, now, one), (x - clean) / now
    second = (guess - denoise(guess, one)) / one
    rough = x + (second * 3 - first) * ((nxt - now) / 2)
    guess = log_slope_step(x, [(now, first), (one, second)], now, two)
    third = (guess - denoise(guess, two)) / two
    return rough, log_slope_step(x, [(now, first), (two, third)], now, nxt)


_PAIRS: dict[int, Callable[..., Any]] = {2: _second, 3: _third}


def _error(rough: Any, fine: Any, before: Any, *, rtol: float, atol: float) -> float:
    """The root mean square of |rough - fine| / max(atol, rtol |rough|, rtol |before|) over the picture."""
    allowed = _larger(_larger(abs(rough), abs(before)) * rtol, atol)
    parts = (rough - fine) / allowed
    squares = parts * parts
    return sqrt(squares.mean() if hasattr(squares, "mean") else squares)


def _larger(one: Any, other: Any) -> Any:
    """Elementwise; not a number where one of them is none."""
    return one * (one > other) + other * (one <= other)


def _limited(denoise: Denoise[X]) -> Denoise[X]:
    """The denoiser, which can be called `MOST_CALLS` times."""
    calls = count(1)

    def seen(x: X, sigma: float) -> X:
        if next(calls) > MOST_CALLS:
            raise InvalidRequest(
                f"dpm_adaptive called the model {MOST_CALLS} times and is at the noise level {sigma:.3g}",
                fix="raise rtol and atol, or name another sampler",
            )
        return denoise(x, sigma)

    return seen


def _fresh(
    noise: Fresh[X], drawn: list[list[X]], index: int, turns: "count[int]", now: float, nxt: float
) -> X:
    """The next noise of the image `index`, which has as many draws before it as in a batch of its own."""
    if (turn := next(turns)) == len(drawn):
        drawn.append(images_of(noise(now, nxt)))
    return drawn[turn][index]


def _tell(
    on_step: OnStep[X], sigmas: Sequence[float], place: tuple[int, int], now: float, x: X, clean: X
) -> None:
    """Tell of a step at level `now` of the image `place[0]` of `place[1]`."""
    (index, images), steps = place, len(sigmas) - 1
    way = log(sigmas[0] / now) / log(sigmas[0] / sigmas[-2]) if now > sigmas[-2] else 1.0
    on_step((index * steps + int(way * (steps - 1))) // images, x, clean)
