"""A job whose device runs out of memory is tried again, one rung higher each time, until it fits or ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import latentry_memory
from latentry import Config, Host, Request
from latentry_memory.adding import OFFLOAD
from latentry_memory.retrying import AGAIN, again
from latentry_sdk import (
    ARTIFACTS,
    JOB,
    Artifact,
    DeviceSpec,
    OutOfMemory,
    Plan,
    StageSpec,
    State,
    TaskSpec,
    hookimpl,
)

Open = Callable[..., Host]
Asked = Callable[..., Request]
Make = Callable[..., DeviceSpec]
FULL = OutOfMemory("gpu has not enough memory")


def climbed(plan: Plan, host: Host) -> Iterator[Plan]:
    """All plans that follow, until the ladder ends."""
    for _ in range(20):
        try:
            found = again(plan, host.registry.optimizers, FULL)
        except OutOfMemory:
            return
        assert found is not None
        plan = found
        yield plan
    pytest.fail("it never ends")


def rungs(plan: Plan, part: str) -> list[int]:
    return [spec.rung or 0 for spec in plan.optimizers if part in spec.parts]


def test_the_same_is_tried_first_then_each_rung_once(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(24))
    plans = [*climbed(opened.plan(asked()), opened)]
    assert [rungs(plan, "vae_decoder") for plan in plans] == [
        [],
        [10],
        [10, 50],
        [10, 60],
        [10, 70],
        [10, 80],
    ]
    assert [rungs(plan, "unet") for plan in plans] == [[], [], [50], [60], [70], [80]]
    assert plans[0].notes[-1] == AGAIN
    assert plans[2].notes[-1].startswith("ran out: added model-offload for text_encoder")
    assert {plan.seeds for plan in plans} == {plans[0].seeds}


def test_an_estimate_that_proved_wrong_is_not_told(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(24))
    assert all(not plan.applied()["memory"] for plan in climbed(opened.plan(asked()), opened))


def test_what_stayed_on_the_device_goes_before_the_next_rung(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(4))
    first = opened.plan(asked())
    assert first.applied()["options"]["group-offload"]["keep"] > 0
    plans = [*climbed(first, opened)]
    kept = [plan.applied()["options"].get("group-offload", {}).get("keep") for plan in plans[:2]]
    assert kept == [first.applied()["options"]["group-offload"]["keep"], 0]
    assert rungs(plans[-1], "unet") == [80]


def test_fewer_images_go_at_once_before_the_next_rung(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(200))
    options = {"stable-diffusion.denoise": {"at_once": 8}}
    plans = [*climbed(opened.plan(asked(batch=5, options=options)), opened)]
    given = [plan.applied()["options"]["stable-diffusion.denoise"]["at_once"] for plan in plans[:5]]
    assert given == [8, 2, 1, 1, 1]
    assert [len(plan.optimizers) for plan in plans[:4]] == [0, 0, 0, 1]


def test_what_the_user_offloads_with_stays(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(24))
    plans = [*climbed(opened.plan(asked(optimizers=("unet=model-offload",))), opened)]
    for plan in plans:
        assert [rung for rung in rungs(plan, "unet") if rung >= OFFLOAD] == [50]
    assert rungs(plans[-1], "text_encoder") == [80]


def test_the_end_of_the_ladder_is_told_with_advice(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(24))
    *_, last = climbed(opened.plan(asked()), opened)
    told = r"with all that could spare it: gpu has not enough.*smaller picture"
    with pytest.raises(OutOfMemory, match=told):
        again(last, opened.registry.optimizers, FULL)


def test_a_user_who_wants_no_help_gets_none(host: Open, asked: Asked, gpu: Make) -> None:
    opened = host(gpu(24))
    assert again(opened.plan(asked(memory="off")), opened.registry.optimizers, FULL) is None


@pytest.mark.parametrize(("needs", "tries"), [(0, 1), (1, 2), (9, None)])
def test_a_job_runs_again_until_it_fits_or_ends(tmp_path: Path, needs: int, tries: int | None) -> None:
    """The toy's only optimizer is on no rung: after a second try with nothing cached, the job ends."""
    seen: list[Plan] = []

    def run(state: State) -> State:
        seen.append(state[JOB].plan)
        if len(seen) <= needs:
            raise OutOfMemory("too much", fix="ask for less")
        return state.put(ARTIFACTS, (Artifact(b"", "a/b", 1),))

    class Hungry:
        @hookimpl
        def register_stages(self) -> Any:
            return [StageSpec("hungry", run, gives=(ARTIFACTS,))]

        @hookimpl
        def register_tasks(self) -> Any:
            return [TaskSpec("hungry", ("hungry",), formats=("x",), model="toy")]

    import latentry_toy

    with Host(
        [latentry_toy, latentry_memory, Hungry()], Config(data_dir=tmp_path, models_dir=tmp_path)
    ) as host:
        if tries is None:
            with pytest.raises(OutOfMemory, match="with all that could spare it"):
                host.run(Request(task="hungry"))
            return
        result = host.run(Request(task="hungry"))
    assert len(seen) == tries
    assert result.applied["notes"] == ([AGAIN] if needs else [])
