"""The names by which other programs know the schedules find them."""

import pytest

import latentry_schedules
from latentry_sdk import Host

LABELS = {
    "Uniform": "normal",
    "Karras": "karras",
    "Exponential": "exponential",
    "Polyexponential": "polyexponential",
    "SGM Uniform": "sgm_uniform",
    "SGMUniform": "sgm_uniform",
    "KL Optimal": "kl_optimal",
    "Align Your Steps": "align_your_steps",
    "Simple": "simple",
    "Normal": "normal",
    "DDIM": "ddim_uniform",
    "Beta": "beta",
}
"""What A1111 shows; the names in its metadata and API are these, or the same in lower case with `_`."""

COMFYUI = [
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
]
NAMES = LABELS | {label.lower().replace(" ", "_"): ours for label, ours in LABELS.items()}
NAMES |= {name: name for name in COMFYUI}


@pytest.fixture(scope="module")
def host() -> Host:
    return Host(plugins=[latentry_schedules])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_another_program_finds_its_schedule(host: Host, name: str) -> None:
    assert host.registry.schedulers.find(name).name == NAMES[name]


def test_labels_are_found_in_any_case(host: Host) -> None:
    for spec in host.registry.schedulers.values():
        for name in (spec.label, spec.label.upper()):
            assert not name or host.registry.schedulers.find(name) is spec
