"""A job is stopped at its next step; what does not stop is ended after a grace time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from latentry import Request
from latentry.errors import Cancelled
from latentry_sdk import Job, Stepped

if TYPE_CHECKING:
    from conftest import Workshop

Opened = Callable[..., "Workshop"]
CROSS = Request(task="toy", prompt="a cross", seed=1)
STEPS = (
    "from latentry_sdk import Job, Stepped\nimport pathlib, time\n"
    "for step in range(1, 101):\n"
    "    job.check_cancelled(); job.notify(Stepped(job.id, step, 100)); time.sleep(0.3)\n"
    "    pathlib.Path({file!r}).write_text(str(step))"
)
"""Steps of 0.3 seconds, the last whole one in a file."""


def test_a_job_is_cancelled_within_one_step_and_its_worker_stays(
    workshop: "Workshop", tmp_path: Path
) -> None:
    before, cancel, file = workshop.ready(), threading.Event(), tmp_path / "step"

    def watch(event: Any) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        workshop.act(STEPS.format(file=str(file)), on_event=watch, cancel=cancel)
    assert file.read_text() == "3"
    assert workshop.host.run(CROSS).artifacts
    assert file.read_text() == "3"
    assert workshop.ready() == before


def test_a_job_that_is_cancelled_before_it_begins_is_not_run(workshop: "Workshop") -> None:
    cancel = threading.Event()
    cancel.set()
    told: list[Any] = []
    with pytest.raises(Cancelled):
        workshop.host.run(CROSS, cancel=cancel, on_event=told.append)
    assert [type(event).__name__ for event in told] == ["Queued", "Cancelled"]
    assert workshop.host.run(CROSS).artifacts


def test_a_job_that_waits_for_a_worker_can_be_cancelled(
    workshop: "Workshop", wait_until: Callable[..., None]
) -> None:
    workshop.ready()
    first = threading.Thread(target=workshop.act, args=("import time; time.sleep(3)",))
    first.start()
    wait_until(lambda: workshop.executor._seats[0].running)
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        workshop.host.run(CROSS, cancel=cancel)
    assert time.monotonic() - began < 2
    first.join()


STUBBORN = {
    "sleeps": "import time; time.sleep(100)",
    "computes": "while True: sum(range(1000))",
    "swallows": "while True:\n    try: job.check_cancelled()\n    except Exception: pass",
    "holds the interpreter": "import ctypes; ctypes.PyDLL(None).sleep(100)",
    "talks": "while True: job.notify(Acted(job.id, 'x'))",
}


@pytest.mark.parametrize("how", STUBBORN)
def test_what_does_not_stop_is_ended_after_the_grace_time(opened: Opened, how: str) -> None:
    workshop = opened(grace=0.5)
    (process,) = workshop.ready()
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        workshop.act(STUBBORN[how], cancel=cancel)
    assert 0.7 < time.monotonic() - began < 10
    assert workshop.host.run(CROSS).artifacts
    assert workshop.ready() != [process]


def test_a_late_end_of_a_cancelled_job_is_not_taken_for_the_next_ones(workshop: "Workshop") -> None:
    for _ in range(20):
        cancel = threading.Event()
        threading.Timer(0.002, cancel.set).start()
        try:
            workshop.host.run(Request(task="toy", prompt="ring", steps=50, seed=5), cancel=cancel)
        except Cancelled:
            pass
        assert workshop.host.run(CROSS).applied["seeds"] == [1]


def test_a_job_that_was_cancelled_can_be_run_again_under_its_id(workshop: "Workshop") -> None:
    before = workshop.ready()
    plan = workshop.host.plan(
        Request(task="act", prompt="import time; time.sleep(0.5)\njob.check_cancelled()")
    )
    for cancelled in (True, False, True, False):
        job = Job("the-same", plan, lambda event: None)
        if cancelled:
            threading.Timer(0.2, job.cancel).start()
            with pytest.raises(Cancelled):
                workshop.executor.run(job)
        else:
            workshop.executor.run(job)
    assert workshop.ready() == before
