"""What docs/samplers.md says of each sampler is what it is."""

import re
from itertools import pairwise

import pytest

import latentry_samplers
from latentry_sdk import SamplerSpec

ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| (\d) \| (\d|–) \| (no|yes|Brownian) \| [^|]+ \|$", re.M)
SPECS = {spec.name: spec for spec in latentry_samplers.register_samplers()}
NOISE = {False: "no", True: "yes", "brownian": "Brownian"}
DISTILLED = {"lcm", "tcd"}


def calls_a_step(spec: SamplerSpec) -> int:
    """Model calls from one step to the next, the same at each but the last few.

    What is seen without the prompt is known from the last call, where that was for the same picture.
    """
    calls, last, at = 0, (0.0, 0.0), list[int]()

    def denoise(x: float, sigma: float) -> float:
        nonlocal calls, last
        calls, last = calls + 1, (x, sigma)
        return x / 2

    def unguided(x: float, sigma: float) -> float:
        return x / 3 if (x, sigma) == last else denoise(x, sigma)

    given = {"noise": lambda now, nxt: 0.5} if spec.stochastic else {}
    given |= {"unguided": unguided} if spec.unguided else {}
    sigmas = (*(10 * 0.7**i for i in range(12)), 0.0)
    spec.sample(denoise, 1.0, sigmas, on_step=lambda *_: at.append(calls), **given)
    (found,) = {after - before for before, after in pairwise(at[:9])}
    return found


def test_the_page_lists_each_sampler_once(page: str) -> None:
    assert sorted(row[0] for row in ROW.findall(page)) == sorted(SPECS)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_page_is_right_about(spec: SamplerSpec, page: str) -> None:
    (row,) = (row for row in ROW.findall(page) if row[0] == spec.name)
    order = "–" if spec.name in DISTILLED else str(spec.order)
    assert row[1:] == (spec.label, str(calls_a_step(spec)), order, NOISE[spec.stochastic])
    assert spec.label.lower() in (spec.name, *spec.aliases)
    assert spec.spaces == ({"ve"} if spec.stochastic or spec.unguided else {"ve", "flow"})


def test_every_sampler_is_compared_with_something_independent(page: str, measured) -> None:
    assert {sampler for sampler, _ in measured.rows()} | {"ipndm_v"} == set(SPECS)
    assert "makes it `lms`" in page
