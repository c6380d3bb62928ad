"""dpm_adaptive: it steps as the published algorithm, its error follows the tolerance, and it ends."""

from collections.abc import Callable, Sequence
from math import atan, log
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

import latentry_samplers
from latentry_samplers.adaptive import MOST_CALLS
from latentry_sdk import InvalidModel, InvalidRequest, Unavailable
from latentry_sdk.images import alone, images_of, joined
from latentry_sdk.testing import Gaussian, Row
from latentry_sdk.testing.problems import Mixture

Picture = NDArray[np.float64]
Denoise = Callable[[Picture, float], Picture]

SPEC = {spec.name: spec for spec in latentry_samplers.register_samplers()}["dpm_adaptive"]
ENDS = (14.6, 0.03, 0.0)
START = np.random.default_rng(0).standard_normal((1, 40)) * ENDS[0]


def denoise(x: Picture, sigma: float) -> Picture:
    """E[x0 | x] for values around -1 and 1."""
    variance = 0.25 + sigma**2
    return (x * 0.25 + np.tanh(x / variance) * sigma**2) / variance


def noises(seed: int = 1) -> Callable[[float, float], Picture]:
    random = np.random.default_rng(seed)
    return lambda now, nxt: random.standard_normal(START.shape)


def published(
    x: Picture, *, order: int, rtol: float, eta: float, weights: tuple[float, float, float]
) -> list[tuple[float, Picture]]:
    """k-diffusion's algorithm in its own variables: t = -log sigma, and the noise eps instead of pictures.

    Gives (sigma, x) before each step that is tried, and at the end.
    """
    atol, safety, size, noise = 0.0078, 0.81, 0.05, noises()
    p, i, d = weights
    power = 1.5 if eta else order
    b1, b2, b3 = (p + i + d) / power, -(p + 2 * d) / power, d / power
    t, last, before, errors, way = -np.log(ENDS[0]), -np.log(ENDS[1]), x, list[float](), list[Any]()

    def eps(x: Picture, t: float) -> Picture:
        return (x - denoise(x, np.exp(-t))) / np.exp(-t)

    while t < last - 1e-5:
        way.append((np.exp(-t), x))
        target = min(last, t + size)
        up = eta * np.sqrt(np.exp(-2 * target) * -np.expm1(2 * (t - target)))
        down = min(last, -np.log(np.sqrt(np.exp(-2 * target) - up**2)))
        h, e0 = down - t, eps(x, t)
        part = 1 / 2 if order == 2 else 1 / 3
        s1 = t + part * h
        e1 = eps(x - np.exp(-s1) * np.expm1(part * h) * e0, s1)
        euler = x - np.exp(-down) * np.expm1(h) * e0
        midpoint = euler - np.exp(-down) / (2 * part) * np.expm1(h) * (e1 - e0)
        low, high = euler, midpoint
        if order == 3:
            s2, far = t + 2 / 3 * h, 2 / 3 * h
            bend = np.exp(-s2) * 2 * (np.expm1(far) / far - 1) * (e1 - e0)
            e2 = eps(x - np.exp(-s2) * np.expm1(far) * e0 - bend, s2)
            low = midpoint
            high = euler - np.exp(-down) / (2 / 3) * (np.expm1(h) / h - 1) * (e2 - e0)
        allowed = np.maximum(atol, rtol * np.maximum(np.abs(low), np.abs(before)))
        error = np.linalg.norm((low - high) / allowed) / np.sqrt(x.size)
        errors = errors or [1 / (error + 1e-8)] * 3
        errors[0] = 1 / (error + 1e-8)
        factor = 1 + atan(errors[0] ** b1 * errors[1] ** b2 * errors[2] ** b3 - 1)
        if factor >= safety:
            errors[2], errors[1] = errors[1], errors[0]
            fresh = np.sqrt(max(np.exp(-2 * target) - np.exp(-2 * down), 0))
            before, x, t = low, high + (fresh * noise(0, 0) if fresh > 1e-9 else 0), target
        size *= factor
    return [*way, (np.exp(-t), denoise(x, np.exp(-t)))]


def ours(x: Any, sigmas: Sequence[float] = ENDS, **options: Any) -> tuple[Any, list[Any]]:
    """Where the sampler ends, and what it tells on its way."""
    told = list[Any]()
    given = {"noise": noises(), **dict(SPEC.options()), **options}
    end = SPEC.sample(
        given.pop("denoise", denoise), x, sigmas, on_step=lambda *step: told.append(step), **given
    )
    return end, told


CASES: list[dict[str, Any]] = [
    {"order": 3, "rtol": 0.05, "eta": 0.0, "weights": (0.0, 1.0, 0.0)},
    {"order": 2, "rtol": 0.05, "eta": 0.0, "weights": (0.0, 1.0, 0.0)},
    {"order": 3, "rtol": 0.001, "eta": 0.0, "weights": (0.2, 0.8, 0.1)},
    {"order": 3, "rtol": 0.05, "eta": 0.7, "weights": (0.0, 1.0, 0.0)},
    {"order": 2, "rtol": 0.02, "eta": 1.0, "weights": (0.3, 0.7, 0.0)},
]


def test_it_walks_as_the_published_algorithm(measured: Any) -> None:
    differences = []
    for case in CASES:
        theirs, (p, i, d) = published(START, **case), case["weights"]
        options = {name: value for name, value in case.items() if name != "weights"}
        end, told = ours(START, pcoeff=p, icoeff=i, dcoeff=d, **options)
        assert len(told) == len(theirs) >= 10
        pairs = zip([x for _, x, _ in told[:-1]] + [end], theirs, strict=True)
        differences += [float(np.abs(a - b).max() / np.abs(b).max()) for a, (_, b) in pairs]
    measured.check(SPEC.name, "formula", max(differences))


def test_steps_are_rejected_and_tried_again_from_the_same_picture() -> None:
    _, told = ours(START, h_init=5.0)
    assert told[0][1] is told[1][1]


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("deviation", [1.0, 2.0])
def test_a_tenth_of_the_tolerance_is_a_tenth_of_the_error(order: int, deviation: float) -> None:
    """The exact solution of Gaussian data, for tolerances over three powers of ten."""
    problem, ends = Gaussian(deviation=deviation), (10.0, 0.4, 0.0)
    start = np.linspace(-2, 2, 9)[None] * 10
    exact = problem.denoise(problem.move(start, *ends[:2]), ends[1])

    def error(rtol: float) -> float:
        end, _ = ours(start, ends, order=order, rtol=rtol, atol=rtol / 6.4, denoise=problem.denoise)
        return float(np.abs(end - exact).max())

    coarse, fine = error(1e-2), error(1e-5)
    assert 2.3 < log(coarse / fine, 10) < 3.3, (coarse, fine)


def test_paths_of_two_kinds_of_data_end_where_they_should() -> None:
    problem = Mixture((Gaussian(mean=-1.0, deviation=0.5), Gaussian(mean=1.5, deviation=0.7)))
    for start in (-12.0, -1.0, 2.0, 11.0):
        exact = problem.denoise(problem.move(start, 10.0, 0.4), 0.4)
        end, _ = ours(start, (10.0, 0.4, 0.0), rtol=1e-5, atol=1e-6, denoise=problem.denoise)
        assert end == pytest.approx(exact, abs=1e-4)


def test_samples_with_fresh_noise_spread_as_the_data_does() -> None:
    problem, random = Gaussian(mean=0.3, deviation=0.5), np.random.default_rng(5)
    start = random.standard_normal((1, 20000)) * problem.noisy(10.0).stdev + 0.3

    def noise(_now: float, _nxt: float) -> Picture:
        return random.standard_normal(start.shape)

    end, _ = ours(start, (10.0, 0.01, 0.0), eta=1.0, rtol=0.01, noise=noise, denoise=problem.denoise)
    assert end.mean() == pytest.approx(0.3, abs=0.02)
    assert end.std() == pytest.approx(0.5, rel=0.03)


def test_levels_between_the_ends_do_not_matter() -> None:
    end, told = ours(START)
    other, others = ours(START, (ENDS[0], 9.0, 1.0, 0.5, *ENDS[1:]))
    assert np.array_equal(end, other)
    assert len(told) == len(others)


@pytest.mark.parametrize("images", [1, 3])
def test_progress_grows_from_the_first_step_to_the_last(images: int) -> None:
    sigmas = (*(14.6 * 0.7**i for i in range(19)), 0.0)
    _, told = ours(np.repeat(START, images, axis=0), sigmas, rtol=0.001)
    indices = [index for index, _, _ in told]
    assert indices == sorted(indices)
    assert (indices[0], indices[-1]) == (0, len(sigmas) - 2)
    assert len(set(indices)) >= 10


def test_one_step_is_the_clean_picture() -> None:
    end, told = ours(START, (14.6, 0.0))
    assert np.array_equal(end, denoise(START, 14.6))
    assert [index for index, _, _ in told] == [0]


def test_stopping_from_on_step_ends_the_sampling() -> None:
    def stop(index: int, x: Picture, clean: Picture) -> None:
        if index > 3:
            raise InterruptedError

    sigmas = (*(14.6 * 0.7**i for i in range(19)), 0.0)
    with pytest.raises(InterruptedError):
        SPEC.sample(denoise, START, sigmas, noise=noises(), on_step=stop)


NOWHERE = float("nan")
BAD_MODELS: dict[str, tuple[Denoise, type[Exception]]] = {
    "not numbers": (lambda x, sigma: x * NOWHERE, InvalidModel),
    "not numbers at low noise": (lambda x, sigma: x / 2 if sigma > 1 else x * NOWHERE, InvalidModel),
    "infinite": (lambda x, sigma: torch.full_like(x, float("inf")), InvalidModel),
    "explodes": (lambda x, sigma: x * -1e6, InvalidRequest),
    "another picture at each call": (lambda x, sigma: torch.randn_like(x) * 1e6, InvalidRequest),
    "jumps": (lambda x, sigma: torch.sign(torch.sin(x * 1e9)) * 100, InvalidRequest),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_bad_model_ends_in_one_line(name: str) -> None:
    model, kind = BAD_MODELS[name]
    calls = 0

    def counted(x: Any, sigma: float) -> Any:
        nonlocal calls
        calls += 1
        return model(x, sigma)

    with pytest.raises(kind) as caught:
        ours(torch.tensor(START).float(), denoise=counted)
    assert len(str(caught.value).splitlines()) == 1
    assert calls <= MOST_CALLS


def test_arrays_that_cannot_be_measured_are_refused() -> None:
    with pytest.raises(Unavailable, match="name another sampler"):
        ours(Row.of([1.0, 2.0]))


@pytest.mark.parametrize(
    "options",
    [
        {"order": 1},
        {"order": 4},
        {"order": True},
        {"order": 2.5},
        *({name: value} for name in SPEC.options.model_fields for value in (float("nan"), -1, True, "x", [])),
        *({name: float("inf")} for name in SPEC.options.model_fields),
        {"rtol": 0},
        {"atol": 0},
        {"h_init": 0},
        {"accept_safety": 1.1},
        {"eta": 1.1},
        {"s_noise": 1},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SPEC.options.model_validate(options)


def test_images_are_taken_apart_and_joined() -> None:
    for batch in (np.arange(12.0).reshape(3, 4), torch.arange(12.0).reshape(3, 4)):
        parts = images_of(batch)
        assert [tuple(part.shape) for part in parts] == [(1, 4)] * 3
        assert joined(parts).tolist() == batch.tolist()
    assert images_of(0.5) == [0.5]
    assert joined([0.5]) == 0.5


def test_a_denoiser_of_batches_only_is_shown_the_others_as_they_are() -> None:
    batch, seen = torch.arange(6.0).reshape(3, 2), list[Any]()

    def whole(x: torch.Tensor, sigma: float) -> torch.Tensor:
        seen.append(x.tolist())
        return x * torch.tensor([[1.0], [10.0], [100.0]])

    assert alone(whole, 1, batch)(torch.tensor([[7.0, 8.0]]), 1.0).tolist() == [[70.0, 80.0]]
    assert seen == [[[0.0, 1.0], [7.0, 8.0], [4.0, 5.0]]]
