"""Jobs in a worker process give what they give in process."""

import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from latentry import Config, Host, Request
from latentry.errors import InvalidInput, PluginError, UnknownName, UserError
from latentry_sdk import Event, ImageReady, ModelLoaded, StageStarted, Stepped

if TYPE_CHECKING:
    from conftest import Workshop

Opened = Callable[..., "Workshop"]
CROSS = Request(task="toy", prompt="a cross", steps=6, batch=2, seed=2**64 - 1)


def in_process() -> Host:
    return Host(config=Config(plugins=("toy",)))


def test_a_job_gives_the_same_as_in_process(workshop: "Workshop") -> None:
    here, there = in_process().run(CROSS), workshop.host.run(CROSS)
    assert there.artifacts == here.artifacts
    assert there.applied == here.applied
    assert there.timings.keys() == here.timings.keys()


def test_a_drawn_seed_is_the_hosts(workshop: "Workshop") -> None:
    host = workshop.host
    result = host.run(Request(task="toy", prompt="ring"))
    again = host.run(Request(task="toy", prompt="ring", seed=result.artifacts[0].seed))
    assert again.artifacts == result.artifacts


def test_events_come_as_they_come_in_process(opened: Opened) -> None:
    here, there = list[Event](), list[Event]()
    in_process().run(CROSS, on_event=here.append)
    opened().host.run(CROSS, on_event=there.append)
    assert [type(event) for event in there] == [type(event) for event in here]
    assert len({event.job for event in there}) == 1
    exact = (Stepped, StageStarted, ImageReady)
    mine = [asdict(event) | {"job": ""} for event in here if isinstance(event, exact)]
    theirs = [asdict(event) | {"job": ""} for event in there if isinstance(event, exact)]
    assert theirs == mine
    assert any(isinstance(event, ModelLoaded) for event in there)


def test_a_plugins_own_event_arrives_as_what_it_is(workshop: "Workshop") -> None:
    told: list[Any] = []
    workshop.act("job.notify(Acted(job.id, 'two', (b'\\0', b'\\xff')))", on_event=told.append)
    (event,) = (event for event in told if type(event).__name__ == "Acted")
    assert type(event) is sys.modules["acting"].Acted
    assert (event.said, event.parts) == ("two", (b"\0", b"\xff"))


def test_an_event_that_cannot_be_sent_is_left_out_and_the_job_goes_on(workshop: "Workshop") -> None:
    told: list[Any] = []
    workshop.act("job.notify(Acted(job.id, object()))", on_event=told.append)
    assert "Acted" not in {type(event).__name__ for event in told}


def test_the_plugins_of_the_host_hear_of_each_event_once_and_those_of_the_worker_do_not(
    workshop: "Workshop",
) -> None:
    told: list[Event] = []
    workshop.act("import acting; assert not acting.heard", on_event=told.append)
    heard = [event for event in sys.modules["acting"].heard if event.job == told[0].job]
    assert heard == told


@pytest.mark.parametrize("prompt", ["cross \0", "cross é 🍎", "cross " + "x" * 90_000])
def test_every_text_arrives(workshop: "Workshop", prompt: str) -> None:
    assert workshop.host.run(Request(task="toy", prompt=prompt, seed=1)).artifacts


def test_what_the_user_left_out_is_left_out_for_the_worker(workshop: "Workshop") -> None:
    workshop.act("assert job.plan.request.model_fields_set <= {'task', 'prompt', 'seed', 'inputs'}")
    asked = Request(task="act", prompt="assert 'guidance' in job.plan.request.model_fields_set", guidance=5)
    workshop.host.run(asked)


def test_warnings_and_what_was_applied_come_back(workshop: "Workshop") -> None:
    result = workshop.act(
        "job.warn('dim'); job.apply('depth', {'a': [1, 2.5, None, True, 'x'], 'big': 2**63})"
    )
    assert result.warnings == ("dim",)
    assert result.applied["depth"] == {"a": [1, 2.5, None, True, "x"], "big": 2**63}


def test_what_cannot_be_sent_back_fails_the_job_and_not_the_worker(workshop: "Workshop") -> None:
    (process,) = workshop.ready()
    with pytest.raises(Exception, match="cannot be sent") as raised:
        workshop.act("job.apply('odd', object())")
    assert type(raised.value).__name__ == "Unsendable"
    assert workshop.ready() == [process]


def test_a_users_error_stays_what_it_is(workshop: "Workshop") -> None:
    with pytest.raises(UnknownName, match=r"^unknown pattern 'nothing'; known: blank, cross,") as raised:
        workshop.host.run(Request(task="toy", prompt="nothing"))
    assert raised.value.__cause__ is None


def test_an_error_of_a_plugin_keeps_its_class_message_and_fix(workshop: "Workshop") -> None:
    with pytest.raises(InvalidInput) as raised:
        workshop.act("from latentry_sdk import InvalidInput; raise InvalidInput('bad', fix='mend it')")
    assert (raised.value.message, raised.value.fix) == ("bad", "mend it")


def test_an_error_class_of_a_plugins_own_is_rebuilt_without_its_constructor(workshop: "Workshop") -> None:
    with pytest.raises(UserError) as raised:
        workshop.act("raise Refused('nobody', 'no time')")
    assert type(raised.value) is sys.modules["acting"].Refused
    assert str(raised.value) == "nobody: no time; ask nicely"


def test_an_error_class_that_the_host_has_not_imported_becomes_the_next_one_up(workshop: "Workshop") -> None:
    with pytest.raises(InvalidInput, match=r"^new$") as raised:
        workshop.act("from latentry_sdk import InvalidInput\nclass New(InvalidInput): ...\nraise New('new')")
    assert type(raised.value) is InvalidInput


def test_a_bug_has_its_traceback_from_the_worker(workshop: "Workshop") -> None:
    with pytest.raises(
        PluginError, match=r"^stage 'act' failed: ZeroDivisionError: division by zero$"
    ) as raised:
        workshop.act("1 / 0")
    assert "acting.py" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    "given", ["a.png", "odd\udcff.png", b"\x89PNG", bytearray(b"ab"), memoryview(b"ab"), None]
)
def test_paths_and_bytes_arrive_as_inputs(workshop: "Workshop", given: Any) -> None:
    wanted = bytes(given) if isinstance(given, bytearray | memoryview) else given
    program = f"assert job.plan.request.inputs['picture'] == {wanted!r}"
    workshop.host.run(Request(task="act", prompt=program, inputs={"picture": given}))


def test_an_odd_input_is_refused_in_one_line(workshop: "Workshop") -> None:
    with pytest.raises(InvalidInput, match="picture is a list"):
        workshop.host.run(Request(task="act", inputs={"picture": [1]}))


def test_two_workers_run_two_jobs_at_the_same_time(opened: Opened, tmp_path: Path) -> None:
    workshop = opened(processes={"a": {}, "b": {}})
    assert workshop.executor.slots == 2
    workshop.ready()
    meet = (
        f"import os, time, pathlib; here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / f'{os.getpid()}.met').touch(); deadline = time.monotonic() + 20\n"
        "while len(list(here.glob('*.met'))) < 2: assert time.monotonic() < deadline; time.sleep(0.01)\n"
    )
    failures: list[BaseException] = []

    def job() -> None:
        try:
            workshop.act(meet)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=job) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_third_job_waits_for_one_of_two_workers(opened: Opened) -> None:
    workshop = opened(processes={"a": {}, "b": {}})
    results: list[Any] = []
    nap = "import time; time.sleep(0.1)"
    threads = [threading.Thread(target=lambda: results.append(workshop.act(nap))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 5
