"""Every sampler goes with every scheduler: all pairs on a tiny model, and what docs/pairs.md says on ours."""

from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import latentry_samplers
import latentry_schedules
from latentry import Config, Host
from latentry_emoji.evaluation.matching import Matcher
from latentry_emoji.training.artwork import shipped
from latentry_sdk import SamplerSpec, SchedulerSpec
from latentry_sdk.testing import stable_diffusion_range
from latentry_stable_diffusion.noise import BrownianNoise, SeededNoise

SAMPLERS = {spec.name: spec for spec in latentry_samplers.register_samplers()}
SCHEDULERS = {
    spec.name: spec
    for spec in latentry_schedules.register_schedulers()
    if spec.name not in ("sigmas", "timesteps")
}
LEVELS, STEPS, SHAPE = stable_diffusion_range(), 12, (4, 8, 8)
ROOT = Path(__file__).parents[2]


def _benchmark() -> Any:
    spec = spec_from_file_location("sampler_pairs", ROOT / "tests" / "benchmarks" / "sampler_pairs.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAIRS = _benchmark()


@pytest.fixture(scope="module")
def tiny() -> Callable[[Tensor, float], Tensor]:
    """A network of two convolutions with random weights, which predicts the noise."""
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(8, 4, 3, padding=1))
    network = torch.nn.Sequential(*layers).requires_grad_(False)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        scaled = x / (1 + sigma**2) ** 0.5
        seen: Tensor = x - sigma * (scaled + network(scaled) * 0.3)
        return seen

    return denoise


def end(sampler: SamplerSpec, scheduler: SchedulerSpec, denoise: Callable[[Tensor, float], Tensor]) -> Tensor:
    sigmas = scheduler.sigmas(STEPS, LEVELS)
    noise: SeededNoise | BrownianNoise = SeededNoise([7], SHAPE, "cpu")
    if sampler.stochastic == "brownian":
        noise = BrownianNoise([7], SHAPE, "cpu", LEVELS.sigma_max)
    given: dict[str, Any] = {"noise": noise.between} if sampler.stochastic else {}
    given |= {"unguided": lambda x, sigma: denoise(x, sigma) * 0.8} if sampler.unguided else {}
    found: Tensor = sampler.sample(denoise, noise.initial() * sigmas[0], sigmas, **given)
    return found


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_every_schedule_ends_in_one_finite_picture_on_a_tiny_model(sampler: SamplerSpec, tiny: Any) -> None:
    ends = [end(sampler, scheduler, tiny) for scheduler in SCHEDULERS.values()]
    assert all(picture.isfinite().all() for picture in ends)
    assert all(
        end(sampler, one, tiny).equal(once) for one, once in zip(SCHEDULERS.values(), ends, strict=True)
    )
    assert len({tuple(picture.flatten().tolist()) for picture in ends}) > 1


def test_the_page_has_every_pair() -> None:
    table = PAIRS.on_page()
    assert sorted(table) == sorted(SAMPLERS)
    assert all(list(row) == list(SCHEDULERS) for row in table.values())


def test_the_page_lists_the_pairs_that_are_not_recognisable() -> None:
    text = PAIRS.PAGE.read_text(encoding="utf-8")
    assert PAIRS.weak(PAIRS.on_page()) == text[text.index(PAIRS.WEAK) + len(PAIRS.WEAK) :].strip()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host(config=Config()) as host:
        yield host


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_embedded_model_draws_what_is_asked_for_with_each_sampler(host: Host) -> None:
    """One caption a sampler, each with another of the schedulers that the page calls good for it."""
    matcher, places, failed = Matcher(shipped()), cycle(range(len(SCHEDULERS))), []
    for sampler, row in PAIRS.on_page().items():
        good = [name for name, share in row.items() if share == 1]
        if good:
            asked = PAIRS.request(sampler, good[next(places) % len(good)])
            failed += [asked.sampler] * (PAIRS.ranks(host, matcher, asked, count=1)[0] >= 5)
    assert len(failed) <= 1, failed  # float rounding differs between machines


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_pair_that_is_not_recognisable_is_without_the_last_level(host: Host) -> None:
    matcher = Matcher(shipped())
    pairs = [(name, key) for name, row in PAIRS.on_page().items() for key in row if row[key] < 0.5]
    for sampler, scheduler in pairs:
        skipping = {"options": {scheduler: {"skip_last": True}}}
        asked = PAIRS.request(sampler, scheduler).model_copy(update=skipping)
        assert max(PAIRS.ranks(host, matcher, asked)) < 5, (sampler, scheduler)


@pytest.mark.slow
def test_a_pair_draws_the_same_picture_again(host: Host) -> None:
    asked = PAIRS.request("dpmpp_sde", "karras").model_copy(update={"prompt": "a bus", "steps": 4})
    assert host.run(asked).artifacts[0].data == host.run(asked).artifacts[0].data
