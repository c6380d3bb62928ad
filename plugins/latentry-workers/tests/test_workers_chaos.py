"""Workers are killed at random: each job gives its picture or says who died, and nothing is left."""

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import pytest

from latentry import Request
from latentry_sdk.queue import WorkerDied

if TYPE_CHECKING:
    from conftest import Workshop

KILLS = 25
JOB = Request(task="toy", prompt="ring", seed=3, steps=50, batch=2)


class Client(threading.Thread):
    """Runs the job again and again, and counts how it ends."""

    def __init__(self, workshop: "Workshop", over: threading.Event) -> None:
        super().__init__()
        self._workshop, self._over = workshop, over
        self.pictures: set[bytes] = set()
        self.died: list[str] = []
        self.odd: BaseException | None = None

    def run(self) -> None:
        """Until it is over, or something else than a death is raised."""
        while not self._over.is_set() and self.odd is None:
            try:
                self.pictures |= {self._workshop.host.run(JOB).artifacts[1].data}
            except WorkerDied as exc:
                self.died.append(str(exc))
            except BaseException as exc:
                self.odd = exc


@pytest.mark.slow
def test_every_job_ends_and_no_process_is_left(opened: Callable[..., "Workshop"]) -> None:
    here = psutil.Process()
    descriptors, children = here.num_fds(), here.children(recursive=True)
    workshop, over, draw = opened(processes={"one": {}, "two": {}}), threading.Event(), random.Random(5)
    workshop.ready()
    clients = [Client(workshop, over) for _ in range(3)]
    for client in clients:
        client.start()
    killed = 0
    while killed < KILLS and not any(client.odd for client in clients):
        over.wait(draw.uniform(0, 0.5))
        seat = draw.choice(workshop.executor._seats)
        if (seat.up or killed % 5 == 0) and (process := seat._process):  # each fifth at any time
            process.kill()
            killed += 1
    over.set()
    for client in clients:
        client.join(60)
    assert [client.odd for client in clients] == [None] * 3
    died = [reason for client in clients for reason in client.died]
    assert died
    assert all("was ended by SIGKILL" in reason for reason in died)
    pictures = {picture for client in clients for picture in client.pictures}
    assert pictures <= {workshop.host.run(JOB).artifacts[1].data}
    workshop.host.close()
    assert here.num_fds() <= descriptors
    assert [child for child in here.children(recursive=True) if child not in children] == []
