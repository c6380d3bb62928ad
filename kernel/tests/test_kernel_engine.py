"""A job: its stages in order, every undo, every way to end."""

import threading
from collections.abc import Callable
from dataclasses import replace
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_toy
from latentry import Host, Request, Result
from latentry.engine import sample
from latentry.errors import Cancelled, InvalidInput, PluginError
from latentry.events import Event, StageStarted, Stepped
from latentry_sdk import (
    DENOISE,
    DEVICES,
    JOB,
    LATENTS,
    SEEDS,
    SIGMAS,
    SIZE,
    UNGUIDED,
    Count,
    Field,
    Key,
    Memory,
    Options,
    SamplerSpec,
    StageSpec,
    State,
    TaskSpec,
    hookimpl,
)

Make = Callable[..., Any]
NOTES = Key[tuple[str, ...]]("test.notes")
TOY_STAGES = ("load", "toy.encode_prompt", "toy.noise", "toy.denoise", "toy.start", "sample", "toy.decode")


def noting(name: str) -> StageSpec:
    """A stage that adds its name to the state's notes."""
    return StageSpec(name, lambda state: state.put(NOTES, (*state.get(NOTES, ()), name)), gives=(NOTES,))


def doing(action: Callable[[State], object], name: str = "act") -> StageSpec:
    """A stage that does something and leaves the state as it is."""

    def run(state: State) -> State:
        action(state)
        return state

    return StageSpec(name, run)


def run_staged(host: Host, **more: Any) -> Result:
    return host.run(Request(task="staged", seed=1), **more)


def throw(error: BaseException) -> None:
    raise error


def test_stages_run_in_the_order_of_the_task(open_host: Make, staged: Make) -> None:
    seen: list[tuple[str, ...]] = []
    last = doing(lambda state: seen.append(state[NOTES]))
    host = open_host(staged(noting("b"), noting("a"), noting("c"), last))
    result = run_staged(host)
    assert seen == [("b", "a", "c")]
    assert list(result.timings) == ["b", "a", "c", "act", "finish"]
    assert all(seconds >= 0 for seconds in result.timings.values())


def test_a_role_is_played_by_the_familys_stage(open_host: Make) -> None:
    result = open_host().run(Request(task="toy", prompt="ring", seed=1))
    assert tuple(result.timings) == TOY_STAGES


def test_a_state_holds_the_plan_from_the_start(open_host: Make, staged: Make) -> None:
    seen: list[State] = []
    host = open_host(staged(doing(seen.append)))
    host.run(Request(task="staged", seed=4, batch=2, steps=3))
    assert seen[0][SIZE] == (8, 8)
    assert seen[0][SEEDS] == (4, 5)
    assert len(seen[0][SIGMAS]) == 4
    assert seen[0][JOB].plan.task.name == "staged"


def test_the_time_of_a_stage_that_runs_twice_is_added_up(open_host: Make, staged: Make) -> None:
    naps = iter((0.05, 0.0))
    nap = doing(lambda state: sleep(next(naps)), "nap")
    assert run_staged(open_host(staged(nap, nap))).timings["nap"] >= 0.05


def test_a_gift_that_is_not_given_is_a_plugin_error(open_host: Make, staged: Make) -> None:
    lazy = StageSpec("lazy", lambda state: state, gives=(NOTES,))
    with pytest.raises(PluginError, match="stage 'lazy' did not give all that it declares"):
        run_staged(open_host(staged(lazy)))


@pytest.mark.parametrize("answer", [None, 3, {}], ids=repr)
def test_an_answer_that_is_no_state_is_a_plugin_error(open_host: Make, staged: Make, answer: object) -> None:
    wrong = StageSpec("wrong", lambda state: answer)  # type: ignore[arg-type, return-value]
    with pytest.raises(PluginError, match="'wrong'"):
        run_staged(open_host(staged(wrong)))


def test_a_task_that_makes_nothing_is_a_plugin_error(open_host: Make, plugin: Make) -> None:
    host = open_host(
        plugin(register_tasks=lambda: [TaskSpec("idle", ("load",), model="toy", formats=("x",))])
    )
    with pytest.raises(PluginError, match="artifacts"):
        host.run(Request(task="idle"))


def test_what_a_stage_raises_is_a_plugin_error_with_its_cause(open_host: Make, staged: Make) -> None:
    cause = ZeroDivisionError("by nothing")
    host = open_host(staged(doing(lambda state: throw(cause))))
    with pytest.raises(PluginError, match="stage 'act' failed: ZeroDivisionError: by nothing") as caught:
        run_staged(host)
    assert caught.value.__cause__ is cause


def test_a_users_mistake_found_in_a_stage_comes_out_as_it_is(open_host: Make, staged: Make) -> None:
    mistake = InvalidInput("the picture is cut short", fix="send all of it")
    with pytest.raises(InvalidInput) as caught:
        run_staged(open_host(staged(doing(lambda state: throw(mistake)))))
    assert caught.value is mistake


@pytest.mark.parametrize(
    "error", [None, ValueError("x"), InvalidInput("x"), MemoryError(), KeyboardInterrupt()], ids=repr
)
def test_undos_run_last_first_however_the_job_ends(
    open_host: Make, staged: Make, error: BaseException | None
) -> None:
    seen: list[str] = []

    def act(state: State) -> None:
        for name in ("first", "second"):
            state[JOB].undos.callback(seen.append, name)
        if error:
            throw(error)

    host = open_host(staged(doing(act), doing(lambda state: seen.append("later"), "later")))
    if error is None:
        run_staged(host)
        assert seen == ["later", "second", "first"]
    else:
        with pytest.raises((type(error), PluginError)):
            run_staged(host)
        assert seen == ["second", "first"]
    assert host.run(Request(task="toy", prompt="ring")).artifacts


def test_an_undo_that_raises_is_a_plugin_error_and_the_others_still_run(
    open_host: Make, staged: Make
) -> None:
    seen: list[str] = []

    def act(state: State) -> None:
        state[JOB].undos.callback(seen.append, "first")
        state[JOB].undos.callback(throw, RuntimeError("stuck"))

    with pytest.raises(PluginError, match="stuck"):
        run_staged(open_host(staged(doing(act))))
    assert seen == ["first"]


@pytest.mark.parametrize("stage", TOY_STAGES)
def test_a_job_can_be_cancelled_before_each_stage(open_host: Make, plugin: Make, stage: str) -> None:
    cancel, ran = threading.Event(), list[str]()

    def listen(event: Event) -> None:
        if isinstance(event, StageStarted):
            ran.append(event.stage)
            if event.stage == stage:
                cancel.set()

    host = open_host()
    if stage == TOY_STAGES[-1]:  # nothing comes after it: the picture is there
        assert host.run(Request(task="toy", prompt="ring"), cancel=cancel, on_event=listen).artifacts
        return
    with pytest.raises(Cancelled):
        host.run(Request(task="toy", prompt="ring"), cancel=cancel, on_event=listen)
    assert tuple(ran) == TOY_STAGES[: TOY_STAGES.index(stage) + 1]
    assert host.run(Request(task="toy", prompt="ring")).artifacts


def test_a_job_cancelled_before_it_starts_runs_no_stage(open_host: Make) -> None:
    cancel, seen = threading.Event(), list[Event]()
    cancel.set()
    with pytest.raises(Cancelled):
        open_host().run(Request(task="toy", prompt="ring"), cancel=cancel, on_event=seen.append)
    assert not [event for event in seen if isinstance(event, StageStarted)]


def test_a_job_can_be_cancelled_at_each_sampling_step(open_host: Make) -> None:
    host = open_host()
    for at in (1, 2, 5):
        cancel, steps = threading.Event(), list[int]()

        def listen(event: Event, at: int = at, cancel: threading.Event = cancel, steps: Any = steps) -> None:
            if isinstance(event, Stepped):
                steps.append(event.step)
                if event.step == at:
                    cancel.set()

        with pytest.raises(Cancelled):
            host.run(Request(task="toy", prompt="ring", steps=5), cancel=cancel, on_event=listen)
        assert steps == list(range(1, at + 1))


def test_stages_are_given_the_open_devices_of_the_job(open_host: Make, staged: Make) -> None:
    seen = list[Any]()
    needing = replace(doing(lambda state: seen.append(state[DEVICES])), needs=(DEVICES,))
    run_staged(open_host(staged(needing)))
    (devices,) = seen
    assert devices.keys() == {"toy"}
    assert devices["toy"].memory() == Memory()


def test_a_job_cancelled_by_a_stage_stops_there(open_host: Make, staged: Make) -> None:
    host = open_host(staged(doing(lambda state: state[JOB].cancel()), noting("later")))
    seen: list[Event] = []
    with pytest.raises(Cancelled):
        run_staged(host, on_event=seen.append)
    assert [event.stage for event in seen if isinstance(event, StageStarted)] == ["act"]


def test_warnings_reach_the_result_once_each(open_host: Make, staged: Make) -> None:
    def act(state: State) -> None:
        for message in ("dim", "slow", "dim"):
            state[JOB].warn(message)

    assert run_staged(open_host(staged(doing(act)))).warnings == ("dim", "slow")


def test_what_was_applied_stands_beside_what_was_asked(open_host: Make, staged: Make) -> None:
    host = open_host(staged(doing(lambda state: state[JOB].apply("mask.blur", 4))))
    applied = run_staged(host).applied
    assert applied["mask.blur"] == 4
    assert applied["seeds"] == [1]
    toy = host.run(Request(task="toy", prompt="ring", steps=7)).applied
    assert (toy["steps"], toy["dtypes"]) == (7, {"painter": "float64"})


def test_image_to_image_reports_the_steps_that_were_taken(open_host: Make, plugin: Make) -> None:
    shorten = StageSpec("shorten", lambda state: state.put(SIGMAS, state[SIGMAS][-3:]), gives=(SIGMAS,))
    stages = ("load", "@encode_prompt", "@noise", "@denoise", "shorten", "toy.start", "sample", "@decode")
    task = TaskSpec("short", stages, formats=("pgm",), options=latentry_toy.ToyOptions, model="toy")
    host = open_host(plugin(register_stages=lambda: [shorten], register_tasks=lambda: [task]))
    seen: list[Event] = []
    result = host.run(Request(task="short", prompt="ring", steps=9), on_event=seen.append)
    assert result.applied["steps"] == 2
    assert [(one.step, one.steps) for one in seen if isinstance(one, Stepped)] == [(1, 2), (2, 2)]


def test_a_stage_reads_the_options_it_declared(open_host: Make, staged: Make) -> None:
    class Blur(Options):
        radius: Count = Field(4, ge=0, le=64)

    class Other(Options):
        other: Count = 1

    seen: list[int] = []

    def run(state: State) -> State:
        seen.append(state[JOB].options(Blur).radius)
        with pytest.raises(PluginError, match="no part of task 'staged' declares Other"):
            state[JOB].options(Other)
        return state

    host = open_host(staged(StageSpec("blur", run, options=Blur)))
    run_staged(host)
    host.run(Request(task="staged", options={"blur": {"radius": "9"}}))
    assert seen == [4, 9]


def test_a_sampler_gets_noise_only_if_it_is_stochastic_and_its_options_by_name(
    open_host: Make, plugin: Make
) -> None:
    class Depth(Options):
        depth: Count = 3

    seen: list[object] = []

    def plain(denoise: Any, x: Any, sigmas: Any, *, on_step: Any, depth: int) -> Any:
        seen.append(depth)
        return x

    def noisy(denoise: Any, x: Any, sigmas: Any, *, on_step: Any, noise: Any) -> Any:
        seen.append(noise(1.0, 0.5) == noise(1.0, 0.5))
        return x

    samplers = [SamplerSpec("plain", plain, options=Depth), SamplerSpec("noisy", noisy, stochastic=True)]
    host = open_host(plugin(register_samplers=lambda: samplers))
    host.run(Request(task="toy", prompt="ring", sampler="plain", options={"plain": {"depth": 7}}))
    host.run(Request(task="toy", prompt="ring", sampler="noisy"))
    assert seen == [7, False]


def test_a_sampler_that_asks_for_it_gets_the_denoiser_without_the_prompt_too() -> None:
    def parted(denoise: Any, x: Any, sigmas: Any, *, on_step: Any, unguided: Any) -> Any:
        return denoise(x, 1.0), unguided(x, 1.0)

    spec = SamplerSpec("parted", parted, unguided=True)
    plan = SimpleNamespace(sampler=spec, options_for=lambda part: Options())
    job: Any = SimpleNamespace(plan=plan, apply=lambda *_: None)
    state = State().put(JOB, job).put(LATENTS, 3.0).put(SIGMAS, (1.0, 0.0)).put(DENOISE, lambda x, _: x + 1)
    assert sample(state.put(UNGUIDED, lambda x, _: x - 1))[LATENTS] == (4.0, 2.0)
    with pytest.raises(PluginError, match="'unguided'"):
        sample(state)


def test_a_wrapper_sees_every_stage_and_can_change_what_it_gives(open_host: Make, plugin: Make) -> None:
    seen: list[str] = []

    @hookimpl(wrapper=True)
    def run_stage(stage: StageSpec, state: State) -> Any:
        seen.append(stage.name)
        after = yield
        return after.put(LATENTS, after[LATENTS] * 0.0) if stage.name == "sample" else after

    host = open_host(plugin(run_stage=run_stage))
    assert set(host.run(Request(task="toy", prompt="ring")).artifacts[0].data[-64:]) == {128}
    assert tuple(seen) == TOY_STAGES


@pytest.mark.parametrize("breaks", ["open", "place"])
def test_a_device_that_raises_is_a_plugin_error_with_its_cause(
    open_host: Make, spy: Any, breaks: str
) -> None:
    spy.breaks.add(breaks)
    host = open_host(spy.plugin())
    asked = Request(task="toy", prompt="ring", place={"*": "spy"})
    with pytest.raises(PluginError, match=f"{breaks} is broken") as caught:
        host.run(asked)
    assert isinstance(caught.value.__cause__, RuntimeError)
    spy.breaks.clear()
    assert host.run(asked).artifacts


def test_the_devices_of_a_job_are_active_during_all_its_stages(
    open_host: Make, staged: Make, spy: Any
) -> None:
    host = open_host(staged(doing(lambda state: spy.note("act"))), spy.plugin())
    host.run(Request(task="staged", place={"*": "spy"}))
    assert spy.seen == ["open", "activate", "act", "deactivate"]
