"""Hosts and workers end by SIGKILL, at every point of a job's way and at any time: nothing accepted is lost.

Each kill is followed by what a client would do: it sends what was not answered once more, with the same key,
and waits. Then the job must have its one result, with the pixels that it has without a kill.
"""

import hashlib
import io
import os
import random
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from latentry import Host, Request
from latentry_sdk.testing.postgresql import postgresql_server
from latentry_sdk.testing.servers import NotStarted, Served, served

KILLER = Path(__file__).with_name("killer") / "latentry_killer.py"
TOY_PLUGINS = "api,store-sql,workers,toy,killer"
PATIENCE = 120.0
"""Seconds for whatever must happen; it takes some, and machines do other things as well."""

IN_HOST = (
    "submit-before",
    "submit-commit",
    "submit-after",
    "claim-before",
    "claim-commit",
    "claim-after",
    "append-commit",
    "step-seen",
    "image-seen",
    "blob-linking",
    "blob-linked",
    "finish-before",
    "finish-commit",
    "finish-after",
)
IN_WORKER = ("load-before", "sample-before", "sample-step", "toy.decode-before", "toy.decode-after")
WITH_THE_EMBEDDED_MODEL = (
    ("load-before", "both"),
    ("sample-step", "worker"),
    ("sample-step", "both"),
    ("step-seen", "host"),
    ("stable-diffusion.decode-before", "worker"),
    ("stable-diffusion.decode-after", "both"),
    ("write_images-before", "host"),
    ("image-seen", "worker"),
    ("blob-linking", "both"),
    ("finish-commit", "host"),
)
ON_POSTGRESQL = (
    *((point, "worker") for point in (*IN_HOST, *IN_WORKER)),
    ("submit-commit", "host"),
    ("claim-commit", "both"),
    ("blob-linked", "host"),
    ("finish-commit", "both"),
)
"""Few of its hosts are killed: others may share the database, so a lost job waits for its lease to end."""

AT_RANDOM = {"worker": 110, "host": 24, "both": 12}
"""Kills at random times by target; with those at points, more than 200."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass
class Trials:
    """A server on one data folder, started again whenever it has been killed, and all that it was sent."""

    folder: Path
    fields: Mapping[str, Any]
    variables: Mapping[str, str]
    stack: ExitStack
    kills: int = 0
    sent: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    server: Served | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def order(self) -> Path:
        """The file that tells the plugin where to kill."""
        return self.folder / "order"

    @property
    def running(self) -> Served:
        """The server, started if there is none."""
        if self.server is None or self.server.process.poll() is not None:
            self.server = self.stack.enter_context(
                served(self.folder / "data", "--store", "killing", **self.variables)
            )
        return self.server

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """What the server answers; None where it was killed meanwhile, be it while starting."""
        with suppress(httpx.TransportError, NotStarted):
            url = f"{self.running.url}/api/v1{path}"
            answer = httpx.request(method, url, timeout=PATIENCE, **more)
            assert answer.status_code < 300, answer.text
            return answer.json()
        return None

    def send(self, **more: Any) -> str:
        """Send a new job, once; its key."""
        number = next(self._numbers)
        key = f"job-{number}"
        self.sent[key] = {**self.fields, "seed": number, **more}
        self._send(key)
        return key

    def ended(self, key: str) -> Any:
        """The job of a key when it has ended, sent again if its client has had no answer."""
        end = monotonic() + PATIENCE
        while monotonic() < end:
            if key not in self.accepted:
                self._send(key)
            elif (job := self.ask("GET", f"/jobs/{self.accepted[key]}", params={"wait": 1})) and (
                job["status"] not in ("queued", "running")
            ):
                return job
        raise AssertionError(f"{key} does not end: {self.ask('GET', f'/jobs/{self.accepted[key]}')}")

    def kill_at(self, point: str, target: str) -> str:
        """Send jobs until the target is killed at the point of one; its key."""
        host = self.running.process
        self.order.write_text(f"{point} {target}", encoding="utf-8")
        end = monotonic() + PATIENCE
        while True:
            key = self.send()
            if self._reached(key, end):
                self._killed(host, target)
                return key

    def kill_now(self, target: str) -> None:
        """Kill the target from outside."""
        host = self.running.process
        workers = children(host.pid)
        for victim in {"host": [host.pid], "worker": workers, "both": [*workers, host.pid]}[target]:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        self._killed(host, target)

    def _reached(self, key: str, end: float) -> bool:
        """Whether the point was reached before the job ended: one that was claimed early passes it by."""
        while self.order.exists():
            assert monotonic() < end, "the point was not reached"
            job = self.ask("GET", f"/jobs/{self.accepted[key]}") if key in self.accepted else None
            if job and job["finished"]:
                return False
            sleep(0.02)
        return True

    def _killed(self, host: "subprocess.Popen[str]", target: str) -> None:
        """Count a kill, and have a killed host start again."""
        self.kills += 1
        if target != "worker":
            assert host.wait(PATIENCE) == -signal.SIGKILL
        self.running  # noqa: B018

    def _send(self, key: str) -> None:
        job = self.ask("POST", "/jobs", json=self.sent[key], headers={"idempotency-key": key})
        if job is not None:
            assert self.accepted.setdefault(key, job["id"]) == job["id"], "one key gave two jobs"


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    files = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def install(folder: Path) -> None:
    """Put the plugin into the folder as pip would."""
    folder.mkdir()
    (folder / KILLER.name).write_text(KILLER.read_text(encoding="utf-8"), encoding="utf-8")
    about = folder / "latentry_killer-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: latentry-killer\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[latentry]\nkiller = latentry_killer\n")


def trials_in(folder: Path, fields: Mapping[str, Any], **variables: str) -> Iterator[Trials]:
    install(folder / "installed")
    more = {
        "PYTHONPATH": str(folder / "installed"),
        "LATENTRY_TEST_KILL": str(folder / "order"),
        "LATENTRY_CONFIG": str(folder / "none.toml"),
        **variables,
    }
    with ExitStack() as stack:
        yield Trials(folder, fields, more, stack)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """Jobs of the toy."""
    fields = {"task": "toy", "prompt": "a cross", "steps": 20}
    yield from trials_in(tmp_path_factory.mktemp("toys"), fields, LATENTRY_PLUGINS=TOY_PLUGINS)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """Jobs of the toy in PostgreSQL."""
    fields = {"task": "toy", "prompt": "a ring", "steps": 20}
    with postgresql_server() as address:
        variables = {"LATENTRY_PLUGINS": TOY_PLUGINS, "LATENTRY_DATABASE_URL": address}
        yield from trials_in(tmp_path_factory.mktemp("shared"), fields, **variables)


@pytest.fixture(scope="module")
def emoji(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """Jobs of the embedded model."""
    fields = {"task": "txt2img", "prompt": "a red apple on a blue background", "steps": 4}
    yield from trials_in(tmp_path_factory.mktemp("emoji"), fields)


@pytest.fixture(scope="module")
def toy() -> Iterator[Host]:
    """The same jobs without a server."""
    with Host([import_module("latentry_toy")]) as host:
        yield host


def assert_whole(trials: Trials, job: Mapping[str, Any], expected: bytes, attempts: int = 2) -> None:
    """The job is done after at most so many attempts, and its one file is there to be read, as expected."""
    assert (job["status"], job["error"]) == ("done", None)
    assert job["attempts"] <= attempts
    (artifact,) = job["artifacts"]
    assert pixels(fetched(trials, artifact)).tobytes() == pixels(expected).tobytes()
    assert ends_of(trials, job["id"]) == ["done"]


def fetched(trials: Trials, artifact: Mapping[str, Any]) -> bytes:
    """The bytes of an artifact, which are what its digest says."""
    data = httpx.get(f"{trials.running.url}{artifact['url']}", timeout=PATIENCE).raise_for_status().content
    assert hashlib.sha256(data).hexdigest() == artifact["sha256"]
    return data


def ends_of(trials: Trials, job: str) -> list[str]:
    """The names of all events with which the job has ended."""
    text = httpx.get(f"{trials.running.url}/api/v1/jobs/{job}/events", timeout=PATIENCE).text
    kinds = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    return [kind for kind in kinds if kind in ("done", "failed", "cancelled")]


def pixels(file: bytes) -> Any:
    with Image.open(io.BytesIO(file)) as picture:
        return np.asarray(picture)


def made(host: Host, fields: Mapping[str, Any]) -> bytes:
    """The file that a job gives where nothing is killed."""
    return host.run(Request.model_validate(dict(fields))).artifacts[0].data


@pytest.mark.parametrize("target", ["worker", "host", "both"])
@pytest.mark.parametrize("point", [*IN_HOST, *IN_WORKER])
def test_a_kill_at_a_point_loses_nothing(toys: Trials, toy: Host, point: str, target: str) -> None:
    key = toys.kill_at(point, target)
    assert_whole(toys, toys.ended(key), made(toy, toys.sent[key]))


@pytest.mark.parametrize("target", AT_RANDOM)
def test_kills_at_random_times_lose_nothing(toys: Trials, toy: Host, target: str) -> None:
    chance = random.Random(target)
    for _ in range(AT_RANDOM[target]):
        keys = [toys.send() for _ in range(chance.randint(1, 3))]
        sleep(chance.uniform(0, 0.5))
        toys.kill_now(target)
        for key in keys:
            assert_whole(toys, toys.ended(key), made(toy, toys.sent[key]))


def test_a_job_that_kills_its_worker_is_given_up_and_the_queue_goes_on(toys: Trials, toy: Host) -> None:
    poison, *good = toys.send(prompt="a cross of poison"), toys.send(), toys.send()
    job = toys.ended(poison)
    assert (job["status"], job["attempts"], job["artifacts"]) == ("failed", 3, [])
    assert job["error"]["message"]
    assert ends_of(toys, job["id"]) == ["failed"]
    for key in good:
        assert_whole(toys, toys.ended(key), made(toy, toys.sent[key]), attempts=1)


def test_a_job_that_kills_its_host_is_given_up_and_the_queue_goes_on(toys: Trials, toy: Host) -> None:
    murder, good = toys.send(prompt="a cross of murder"), toys.send()
    job = toys.ended(murder)
    assert (job["status"], job["attempts"], job["artifacts"]) == ("failed", 3, [])
    assert job["error"]["message"]
    assert_whole(toys, toys.ended(good), made(toy, toys.sent[good]), attempts=1)


def test_after_all_of_it_every_job_is_there_once(toys: Trials) -> None:
    """The last of the toy's: there are as many jobs as were sent, and no file of one is another's too."""
    found: list[Any] = []
    page = {"next": None}
    while not found or page["next"]:
        page = toys.ask("GET", "/jobs", params={"limit": 200, **({"cursor": page["next"]} if found else {})})
        found += page["jobs"]
    assert sorted(job["id"] for job in found) == sorted(toys.accepted.values())
    assert len(found) == len(toys.sent)
    assert {job["status"] for job in found} <= {"done", "failed"}
    artifacts = [artifact["id"] for job in found for artifact in job["artifacts"]]
    assert len(set(artifacts)) == len(artifacts) == sum(job["status"] == "done" for job in found)
    assert toys.kills >= 200


@pytest.mark.parametrize(("point", "target"), WITH_THE_EMBEDDED_MODEL)
def test_a_kill_loses_no_picture_of_the_embedded_model(emoji: Trials, point: str, target: str) -> None:
    key = emoji.kill_at(point, target)
    job = emoji.ended(key)
    twin = emoji.ended(emoji.send(seed=emoji.sent[key]["seed"]))
    assert twin["attempts"] == 1
    assert_whole(emoji, job, fetched(emoji, twin["artifacts"][0]))


@pytest.mark.parametrize(("point", "target"), ON_POSTGRESQL)
def test_a_kill_loses_nothing_on_postgresql(shared: Trials, toy: Host, point: str, target: str) -> None:
    key = shared.kill_at(point, target)
    assert_whole(shared, shared.ended(key), made(toy, shared.sent[key]))
