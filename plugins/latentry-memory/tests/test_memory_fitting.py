"""Full-size SDXL is fitted to devices of any size, and nothing is done that is not needed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import latentry_tiling
from latentry import Host, Request
from latentry_memory.adding import OFFLOAD
from latentry_memory.budgets import host_memory
from latentry_sdk import (
    DeviceReport,
    DeviceSpec,
    Footprint,
    InvalidRequest,
    Memory,
    OptimizerSpec,
    Plan,
    Unavailable,
)
from latentry_sdk.footprints import footprints, peaks
from latentry_sdk.machine import system_memory
from latentry_stable_diffusion.denoising import DenoiseOptions

Open = Callable[..., Host]
Asked = Callable[..., Request]
Make = Callable[..., DeviceSpec]
SIZES = (4, 6, 8, 12, 16, 24)


def bare(plan: Plan, host: Host) -> int:
    """The peak that the plan would have without what was added."""
    plain = replace(plan, optimizers=())
    return peaks(plain, footprints(plain, host.devices()))["gpu"]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("gigabytes", SIZES)
def test_sdxl_fits_every_size(host: Open, asked: Asked, gpu: Make, gigabytes: int, dtype: str) -> None:
    opened = host(gpu(gigabytes))
    plan = opened.plan(asked(dtype=dtype))
    assert plan.memory["gpu"] <= 0.9 * gigabytes * 10**9
    assert bool(plan.optimizers) == (bare(plan, opened) > 0.9 * gigabytes * 10**9)


@pytest.mark.parametrize("gigabytes", SIZES)
def test_sdxl_fits_every_size_with_the_real_tiling(
    host: Open, asked: Asked, gpu: Make, gigabytes: int
) -> None:
    plan = host(gpu(gigabytes), optimizers=(), also=(latentry_tiling,)).plan(asked())
    assert plan.memory["gpu"] <= 0.9 * gigabytes * 10**9
    assert ("vae_decoder=vae-tiling" in plan.optimized()) == (gigabytes < 12)


@pytest.mark.parametrize("gigabytes", SIZES)
def test_nothing_is_added_that_is_not_needed(host: Open, asked: Asked, gpu: Make, gigabytes: int) -> None:
    """Leaving out any one of the applications does not fit; whole components make room for each other."""
    opened = host(gpu(gigabytes))
    plan = opened.plan(asked())
    for spec in plan.optimizers:
        for part in [spec.parts] if spec.name == "model-offload" else [{part} for part in spec.parts]:
            rest = [replace(s, parts=s.parts - part) if s is spec else s for s in plan.optimizers]
            less = replace(plan, optimizers=tuple(rest))
            assert peaks(less, footprints(less, opened.devices()))["gpu"] > 0.9 * gigabytes * 10**9, part


def test_larger_devices_are_spared_more(host: Open, asked: Asked, gpu: Make) -> None:
    plans = [host(gpu(size)).plan(asked()) for size in SIZES]
    rungs = [max((spec.rung or 0 for spec in plan.optimizers), default=0) for plan in plans]
    assert rungs == sorted(rungs, reverse=True)
    assert rungs[0] >= 60
    assert rungs[-1] == 0


def test_what_fits_stays_on_the_device(host: Open, asked: Asked, gpu: Make) -> None:
    plan = host(gpu(4)).plan(asked())
    spec = next(spec for spec in plan.optimizers if spec.name == "group-offload")
    keep = getattr(plan.options_for(spec), "keep")  # noqa: B009
    assert keep > 10**9
    assert 0.85 * 0.9 * 4e9 < plan.memory["gpu"] <= 0.9 * 4e9


def test_the_users_own_choice_is_kept(host: Open, asked: Asked, gpu: Make) -> None:
    own = {"optimizers": ("unet=sequential-offload",), "options": {"sequential-offload": {"keep": 7}}}
    plan = host(gpu(4)).plan(asked(**own))
    assert plan.optimized()[0] == "unet=sequential-offload"
    assert [each for each in plan.optimized() if each.startswith("unet=")] == ["unet=sequential-offload"]
    assert plan.applied()["options"]["sequential-offload"]["keep"] == 7


BATCH: dict[str, object] = {"batch": 8, "options": {"stable-diffusion.denoise": {"at_once": 8}}}


@pytest.mark.parametrize(("gigabytes", "at_once"), [(7, 1), (9, 2), (10, 4), (24, 8)])
def test_as_many_images_go_at_once_as_fit_without_offloading(
    host: Open, asked: Asked, gpu: Make, gigabytes: int, at_once: int
) -> None:
    opened = host(gpu(gigabytes))
    plan = opened.plan(asked(**BATCH))
    options = plan.options_of(DenoiseOptions)
    assert options.at_once == at_once
    assert plan.memory["gpu"] <= 0.9 * gigabytes * 10**9
    assert any("at once" in note for note in plan.notes) == (at_once < 8)
    offloaded = any((spec.rung or 0) >= OFFLOAD for spec in plan.optimizers)
    assert at_once == 1 or not offloaded
    if at_once < 8:
        key = next(key for key, value in plan.options.items() if value is options)
        doubled = options.model_copy(update={"at_once": 2 * at_once})
        more = replace(plan, options={**plan.options, key: doubled})
        assert peaks(more, footprints(more, opened.devices()))["gpu"] > 0.9 * gigabytes * 10**9


def test_a_wrong_option_of_an_optimizer_is_refused_where_it_is_not_used_too(
    host: Open, asked: Asked, gpu: Make
) -> None:
    with pytest.raises(InvalidRequest, match="group-offload: keep"):
        host(gpu(24)).plan(asked(options={"group-offload": {"keep": -1}}))


def test_off_takes_the_plan_as_it_is_and_says_what_it_takes(host: Open, asked: Asked, gpu: Make) -> None:
    plan = host(gpu(4)).plan(asked(memory="off"))
    assert plan.optimizers == ()
    assert plan.memory["gpu"] > 4e9


def test_what_others_take_counts_as_taken(host: Open, asked: Asked, gpu: Make) -> None:
    assert host(gpu(24)).plan(asked()).optimizers == ()
    crowded = host(gpu(24, free=8)).plan(asked())
    assert crowded.optimizers
    assert crowded.memory["gpu"] <= 0.9 * 8e9


def test_a_full_device_gets_the_most_frugal_plan_and_no_refusal(host: Open, asked: Asked, gpu: Make) -> None:
    """Memory that others hold now may be free when the job runs."""
    plan = host(gpu(24, free=0.1)).plan(asked())
    assert plan.memory["gpu"] < 3e9


def test_a_reserve_is_left_alone(host: Open, asked: Asked, gpu: Make) -> None:
    plan = host(gpu(8), options={"memory": {"reserve": 0.5}}).plan(asked())
    assert plan.memory["gpu"] <= 4e9


def test_what_nothing_makes_fit_is_refused_with_advice(host: Open, asked: Asked, gpu: Make) -> None:
    told = r"at least \d+ MiB on 'gpu', which has 85 MiB.*smaller picture.*--fallback"
    with pytest.raises(Unavailable, match=told):
        host(gpu(0.1)).plan(asked())


def test_a_device_that_says_nothing_of_its_memory_is_trusted(host: Open, asked: Asked, device: Make) -> None:
    plan = host(device("quiet", Memory())).plan(asked())
    assert plan.optimizers == ()
    assert plan.memory["quiet"] > 10**9


def test_weights_are_not_offloaded_from_the_hosts_own_memory(
    host: Open, asked: Asked, device: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the host has is measured anew, whatever the device said when it was probed."""
    monkeypatch.setattr("latentry_memory.budgets.host_memory", lambda: Memory(32 * 10**9, 17 * 10**9))
    here = device("here", Memory(32 * 10**9, 1), dtypes=("float32",))
    plan = host(here).plan(asked())
    assert {spec.name for spec in plan.optimizers} == {"tiles"}


def test_the_hosts_memory_is_what_the_system_says() -> None:
    found = host_memory()
    assert found.total == system_memory().total
    assert 0 < (found.free or 0) <= (found.total or 0)


def test_a_fallback_is_taken_where_the_ladder_ends_and_is_told(
    host: Open, asked: Asked, gpu: Make, device: Make
) -> None:
    big = device("big", Memory(64 * 10**9, 64 * 10**9), dtypes=("float32",), rank=1)
    opened = host(gpu(0.9), big, optimizers=())
    with pytest.raises(Unavailable):
        opened.plan(asked())
    plan = opened.plan(asked(fallback=("Big",)))
    moved = {part for part, place in plan.placements.items() if place.device == "big"}
    assert moved
    assert {f"{part} falls back to big" for part in moved} <= set(plan.applied()["notes"])
    assert plan.memory["gpu"] <= 0.9e9 if "gpu" in plan.memory else True


def test_a_device_that_is_not_there_is_replaced_and_that_is_told(
    host: Open, asked: Asked, gpu: Make, device: Make
) -> None:
    gone = replace(device("gone", Memory()), probe=lambda: DeviceReport(False, "no chip"))
    plan = host(gpu(24), gone).plan(asked(place={"unet": "gone", "*": "gpu"}, fallback=("gpu",)))
    assert plan.applied()["notes"] == ["unet falls back to gpu"]
    named = host(gpu(24)).plan(asked(fallback=("gpu",)))
    assert named.applied()["notes"] == []


def test_without_a_word_nothing_falls_back(host: Open, asked: Asked, gpu: Make, device: Make) -> None:
    big = device("big", Memory(64 * 10**9, 64 * 10**9), rank=1)
    with pytest.raises(Unavailable):
        host(gpu(0.1), big).plan(asked())


def test_components_on_another_device_are_none_of_its_business(
    host: Open, asked: Asked, gpu: Make, device: Make
) -> None:
    roomy = device("roomy", Memory(64 * 10**9, 64 * 10**9), rank=1)
    plan = host(gpu(4), roomy).plan(asked(place={"unet": "roomy"}))
    assert not any("unet" in spec.parts for spec in plan.optimizers)
    assert plan.memory["roomy"] > 5e9


def test_a_second_pass_counts_with_its_own_size(host: Open, asked: Asked, gpu: Make) -> None:
    """Its stages work with the components that the first pass placed."""
    opened = host(gpu(24))
    small = opened.plan(asked(width=512, height=512))
    large = opened.plan(asked(width=1536, height=1536))
    both = replace(small, further={"second": large})
    found = peaks(both, footprints(both, opened.devices()))
    assert found == peaks(large, footprints(large, opened.devices()))


def test_optimizers_below_offloading_are_tried_first(host: Open, asked: Asked, gpu: Make) -> None:
    plan = host(gpu(9)).plan(asked())
    assert {spec.name for spec in plan.optimizers} == {"tiles"}


def test_one_that_only_a_user_may_name_is_never_added(
    host: Open, asked: Asked, gpu: Make, tiling: OptimizerSpec
) -> None:
    def nothing(_footprint: Footprint, _work: object) -> Footprint:
        return Footprint(0)

    magic = OptimizerSpec("magic", frozenset({"*"}), nothing, tiling.apply)
    plan = host(gpu(4), optimizers=(tiling, magic)).plan(asked())
    assert "magic" not in {spec.name for spec in plan.optimizers}
