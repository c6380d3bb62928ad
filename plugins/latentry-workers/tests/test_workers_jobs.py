"""Jobs in a worker process give what they give in process."""

from dataclasses import asdict

import pytest

from latentry import Config, Host, Request
from latentry.errors import UnknownName
from latentry_sdk import Event, ImageReady, ModelLoaded, StageStarted, Stepped

CROSS = Request(task="toy", prompt="a cross", steps=6, batch=2, seed=2**64 - 1)


def test_a_job_gives_the_same_as_in_process(made) -> None:
    here = Host(config=Config(plugins=("toy",))).run(CROSS)
    there = made().run(CROSS)
    assert there.artifacts == here.artifacts
    assert there.applied == here.applied
    assert there.timings.keys() == here.timings.keys()


def test_a_drawn_seed_is_the_hosts(made) -> None:
    host = made()
    result = host.run(Request(task="toy", prompt="ring"))
    again = host.run(Request(task="toy", prompt="ring", seed=result.artifacts[0].seed))
    assert again.artifacts == result.artifacts


def test_events_come_as_they_come_in_process(made) -> None:
    def events_of(host: Host) -> list[Event]:
        told: list[Event] = []
        host.run(CROSS, on_event=told.append)
        return told

    here, there = events_of(Host(config=Config(plugins=("toy",)))), events_of(made())
    assert [type(event) for event in there] == [type(event) for event in here]
    assert len({event.job for event in there}) == 1
    exact = (Stepped, StageStarted, ImageReady)
    mine = [asdict(event) | {"job": ""} for event in here if isinstance(event, exact)]
    theirs = [asdict(event) | {"job": ""} for event in there if isinstance(event, exact)]
    assert theirs == mine
    assert any(isinstance(event, ModelLoaded) for event in there)


def test_an_error_stays_what_it_is(made) -> None:
    with pytest.raises(
        UnknownName, match=r"^unknown pattern 'nothing'; known: blank, cross, left, ring, top$"
    ):
        made().run(Request(task="toy", prompt="nothing"))
