"""A host: its plugins, what is told of a job, what is kept of it, and that the same gives the same."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import latentry_toy
from latentry import Config, Host, Request, UserError
from latentry.errors import Cancelled, PluginError, UnknownName
from latentry.events import Done, Event, Failed, ModelLoaded, Queued, StageStarted, Started, Stepped
from latentry_sdk import ImageReady, StageSpec

Make = Callable[..., Any]


def toy(prompt: str = "ring", **more: Any) -> Request:
    return Request(**{"task": "toy", "prompt": prompt, "seed": 1, **more})


def fail_with(error: BaseException) -> StageSpec:
    def run(state: Any) -> Any:
        raise error

    return StageSpec("fail", run)


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_events_tell_a_job_from_beginning_to_end(open_host: Make) -> None:
    seen: list[Event] = []
    host = open_host()
    host.run(toy(steps=2, batch=2), on_event=seen.append)
    stages = ["StageStarted"] * 5
    assert names(seen) == [
        *("Queued", "Started", "StageStarted", "ModelLoaded"),
        *stages,
        *("Stepped", "Stepped", "StageStarted", "ImageReady", "ImageReady", "Done"),
    ]
    assert {event.job for event in seen} == {host.store.records()[0].id}
    assert seen[0] == Queued(seen[0].job, "toy")
    assert [(one.index, one.seed) for one in seen if isinstance(one, ImageReady)] == [(0, 1), (1, 2)]
    assert [(one.step, one.steps) for one in seen if isinstance(one, Stepped)] == [(1, 2), (2, 2)]
    assert next(one for one in seen if isinstance(one, StageStarted)).stage == "load"
    assert next(one for one in seen if isinstance(one, ModelLoaded)).model == "model"


def test_a_second_job_does_not_load_the_model_again(open_host: Make) -> None:
    seen: list[Event] = []
    host = open_host()
    host.run(toy())
    host.run(toy(), on_event=seen.append)
    assert "ModelLoaded" not in names(seen)


def test_plugins_hear_what_the_caller_hears(open_host: Make, plugin: Make) -> None:
    heard: list[Event] = []
    seen: list[Event] = []
    host = open_host(plugin(on_event=lambda event: heard.append(event)))
    host.run(toy(), on_event=seen.append)
    assert heard == seen


def test_a_listener_that_raises_is_logged_and_harms_nothing(
    open_host: Make, plugin: Make, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    def deaf(event: Event) -> None:
        raise RuntimeError("deaf")

    host = open_host(
        plugin("deaf", on_event=deaf), plugin("keen", on_event=lambda event: heard.append(event))
    )
    assert host.run(toy()).artifacts
    assert names(heard)[-1] == "Done"
    assert "deaf" in caplog.text


def test_a_record_goes_from_queued_to_done_with_its_result(open_host: Make) -> None:
    host = open_host()
    statuses: dict[str, str] = {}

    def listen(event: Event) -> None:
        record = host.store.get(event.job)
        statuses[type(event).__name__] = record.status if record else "absent"

    result = host.run(toy(), on_event=listen)
    (record,) = host.store.records()
    assert (record.status, record.error, record.request, record.result) == ("done", None, toy(), result)
    assert (statuses["Queued"], statuses["Started"], statuses["Done"]) == ("queued", "running", "done")
    assert host.store.get("no such job") is None


def test_a_job_that_fails_is_kept_with_its_reason(open_host: Make, staged: Make) -> None:
    seen: list[Event] = []
    host = open_host(staged(fail_with(ValueError("bad luck"))))
    with pytest.raises(PluginError):
        host.run(Request(task="staged"), on_event=seen.append)
    (record,) = host.store.records()
    assert record.status == "failed"
    assert "bad luck" in (record.error or "")
    assert isinstance(seen[-1], Failed)
    assert seen[-1].error == record.error


@pytest.mark.parametrize(
    "error", [ValueError("two\nlines"), MemoryError(), KeyboardInterrupt(), ValueError()], ids=repr
)
def test_the_reason_of_a_failure_is_one_line_and_never_empty(
    open_host: Make, staged: Make, error: BaseException
) -> None:
    seen: list[Event] = []
    host = open_host(staged(fail_with(error)))
    with pytest.raises((PluginError, type(error))):
        host.run(Request(task="staged"), on_event=seen.append)
    (record,) = host.store.records()
    assert record.status in ("failed", "cancelled")
    if record.status == "failed":
        assert len((record.error or "").splitlines()) == 1
        assert isinstance(seen[-1], Failed)
        assert len(seen[-1].error.splitlines()) == 1


def test_a_job_that_is_cancelled_is_kept_as_cancelled(open_host: Make) -> None:
    cancel, seen = threading.Event(), list[Event]()
    cancel.set()
    host = open_host()
    with pytest.raises(Cancelled):
        host.run(toy(), cancel=cancel, on_event=seen.append)
    assert [record.status for record in host.store.records()] == ["cancelled"]
    assert names(seen)[-1] == "Cancelled"


def test_a_request_that_cannot_be_planned_leaves_no_record(open_host: Make) -> None:
    host = open_host()
    seen: list[Event] = []
    with pytest.raises(UserError):
        host.run(toy(sampler="nonsense"), on_event=seen.append)
    assert not host.store.records()
    assert not seen


def test_the_store_in_memory_keeps_the_newest_256(open_host: Make) -> None:
    host, cancelled = open_host(), threading.Event()
    cancelled.set()
    for seed in range(258):
        with pytest.raises(Cancelled):
            host.run(toy(seed=seed), cancel=cancelled)
    assert [record.request.seed for record in host.store.records()] == list(range(2, 258))


@pytest.mark.parametrize(
    ("field", "legal"), [("store", "memory, toy-json"), ("executor", "inline, toy-thread")]
)
def test_an_unknown_place_in_the_configuration_lists_the_legal_ones(
    open_host: Make, field: str, legal: str
) -> None:
    host = open_host(**{field: "cloud"})
    with pytest.raises(UnknownName, match=f"unknown {field} 'cloud'; known: {legal}"):
        host.run(toy())


def test_an_unknown_surface_lists_the_legal_ones(open_host: Make) -> None:
    with pytest.raises(UnknownName, match="unknown surface 'web'; known: toy-lines"):
        open_host().serve("web")


def test_image_i_of_a_batch_is_the_single_image_of_its_seed(open_host: Make) -> None:
    host = open_host()
    for sampler in ("toy_euler", "toy_ancestral"):
        batch = host.run(toy(seed=5, batch=4, sampler=sampler)).artifacts
        alone = [host.run(toy(seed=5 + i, sampler=sampler)).artifacts[0] for i in range(4)]
        assert [one.data for one in batch] == [one.data for one in alone]
        assert [one.seed for one in batch] == [5, 6, 7, 8]
        assert len({one.data for one in batch}) == 4


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    seed=st.integers(0, 2**64 - 1),
    steps=st.integers(1, 12),
    sampler=st.sampled_from(["toy_euler", "toy_ancestral"]),
)
def test_the_same_request_gives_the_same_picture_on_another_host(
    config: Config, seed: int, steps: int, sampler: str
) -> None:
    results = []
    for _ in range(2):
        with Host([latentry_toy], config) as host:
            results.append(host.run(toy(seed=seed, steps=steps, sampler=sampler)))
    first, second = results
    assert first.artifacts[0].data == second.artifacts[0].data
    assert first.applied == second.applied


def test_a_drawn_seed_is_reported_and_gives_the_picture_again(open_host: Make) -> None:
    host = open_host()
    drawn = host.run(toy(seed=None))
    (seed,) = drawn.applied["seeds"]
    assert drawn.artifacts[0].seed == seed
    assert host.run(toy(seed=seed)).artifacts == drawn.artifacts


def test_jobs_from_several_threads_come_out_as_they_do_alone(open_host: Make) -> None:
    host = open_host()
    alone = [host.run(toy(seed=seed)).artifacts for seed in range(6)]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda seed: host.run(toy(seed=seed)).artifacts, range(6)))
    assert together == alone
    assert len(host.store.records()) == 12


def test_two_hosts_in_one_process_know_nothing_of_each_other(open_host: Make, plugin: Make) -> None:
    heard: list[Event] = []
    first, second = open_host(plugin(on_event=lambda event: heard.append(event))), open_host()
    second.run(toy())
    assert not heard
    first.run(toy())
    assert names(heard)[-1] == "Done"
    assert isinstance(heard[-1], Done)
    assert isinstance(heard[1], Started)


def test_a_plugin_that_fails_is_left_out_and_its_record_says_why(config: Config, plugin: Make) -> None:
    bad = plugin("bad", register_samplers=lambda: 3)
    with Host([bad, latentry_toy], config) as host:
        status = {record.name: record.status for record in host.records}
        assert status == {"latentry": "active", "bad": "failed", "latentry_toy": "active"}
        assert host.run(toy()).artifacts


def test_several_plugins_of_one_class_can_be_given(config: Config, plugin: Make) -> None:
    heard: list[int] = []

    class Listener:
        def __init__(self, number: int) -> None:
            self.number = number

        @latentry_toy.hookimpl
        def on_event(self, event: Event) -> None:
            heard.append(self.number)

    with Host([latentry_toy, Listener(1), Listener(2)], config) as host:
        host.run(toy())
    assert set(heard) == {1, 2}
