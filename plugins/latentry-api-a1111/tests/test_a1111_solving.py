"""Sampler and scheduler names as AUTOMATIC1111's clients send them."""

import pytest

from latentry_api_a1111.solving import eta_of, schedule, split
from latentry_sdk import InvalidRequest, UnknownName

NAMES = [
    ("Euler", "Automatic", "euler", None),
    ("Euler a", "automatic", "euler_ancestral", None),
    ("k_euler_a", "", "euler_ancestral", None),
    ("euler", "Karras", "euler", "karras"),
    ("DPM++ 2M Karras", "Automatic", "dpmpp_2m", "karras"),
    ("DPM++ 2M Karras", "karras", "dpmpp_2m", "karras"),
    ("DPM++ 2M SDE Heun Exponential", "", "dpmpp_2m_sde_heun", "exponential"),
    ("DPM++ 2M SGM Uniform", "", "dpmpp_2m", "sgm_uniform"),
    ("Euler a Align Your Steps", "", "euler_ancestral", "align_your_steps"),
    ("DPM++ 2M", "Automatic", "dpmpp_2m", "karras"),
    ("DPM++ 3M SDE", "Automatic", "dpmpp_3m_sde", "exponential"),
    ("DDIM", "Automatic", "ddim", "ddim_uniform"),
    ("DDIM", "DDIM", "ddim", "ddim_uniform"),
    ("Heun", "", "heun", None),
]


@pytest.mark.parametrize(("sampler", "scheduler", "ours", "levels"), NAMES)
def test_a_name_stands_for_a_sampler_and_a_schedule(host, sampler, scheduler, ours, levels):
    solver, named = split(host, sampler, scheduler)
    assert (solver.name, schedule(solver, named)) == (ours, levels)


@pytest.mark.parametrize(
    "sampler", ["", " ", "Euler b", "Karras", " Karras", "Euler Nothing", "Euler  a", "x" * 4000]
)
def test_an_unknown_sampler_is_refused_with_the_legal_names(host, sampler):
    with pytest.raises(UnknownName, match=r"unknown sampler .* dpmpp_2m"):
        split(host, sampler, "")


def test_an_unknown_scheduler_is_refused_with_the_legal_names(host):
    with pytest.raises(UnknownName, match=r"unknown scheduler 'Turbo'; .* karras"):
        split(host, "Euler", "Turbo")


def test_two_schedulers_that_differ_are_refused(host):
    with pytest.raises(InvalidRequest, match="another scheduler than exponential"):
        split(host, "DPM++ 2M Karras", "Exponential")


def test_every_label_and_alias_of_the_registry_finds_its_sampler(host):
    for spec in host.registry.samplers.values():
        for name in (spec.label or spec.name, *spec.aliases):
            assert split(host, name, "")[0] is spec


def test_eta_is_an_option_of_samplers_that_have_it(host):
    ancestral, plain = host.registry.samplers["euler_ancestral"], host.registry.samplers["euler"]
    assert eta_of(ancestral, 0.5) == {"eta": 0.5}
    assert eta_of(ancestral, None) == {}
    assert [eta_of(plain, eta) for eta in (None, 0, 1)] == [{}, {}, {}]
    with pytest.raises(InvalidRequest, match="euler has no eta"):
        eta_of(plain, 0.5)
