"""Opening a queue: its tables, its one host, and what stands in the way, each in one line."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

import latentry_store_sql
from latentry_sdk import Host, InvalidRequest, JobRecord, LatentryError, Request, Unavailable
from latentry_sdk.queue import Queue, Submission
from latentry_sdk.testing.queues_parts import all_claims
from latentry_store_sql import engines
from latentry_store_sql.opening import FILE, open_beside, open_queue
from latentry_store_sql.queue import SqlQueue
from latentry_store_sql.schema import HEAD
from latentry_store_sql.settings import load_settings
from latentry_store_sql.tables import METADATA

NOBODY = 65534
HOLD = "import sys; from pathlib import Path; from latentry_store_sql.opening import open_queue\n"
HOLD += "queue = open_queue(Path(sys.argv[1])); queue.claim('worker', 3600); print('held', flush=True)\n"
HOLD += "sys.stdin.read()"


@pytest.fixture(params=["sqlite", "postgresql"])
def queue(request: pytest.FixtureRequest) -> Iterator[SqlQueue]:
    """The queue, in each database."""
    queue = request.getfixturevalue(request.param)()
    yield queue
    queue.close()


def refused(folder: Path, opening: Callable[[Path], object] = open_queue) -> str:
    """The one line with which it is not opened."""
    with pytest.raises(LatentryError) as caught:
        opening(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_store_is_a_queue(tmp_path: Path) -> None:
    host = Host([latentry_store_sql])
    store = host.registry.stores.find("sql").open(tmp_path)
    assert isinstance(store, Queue)
    assert host.records[-1].status == "active"
    store.close()


def test_nothing_of_the_database_is_imported_before_it_is_opened() -> None:
    program = (
        "import sys; from latentry_sdk import Host; import latentry_store_sql; Host([latentry_store_sql])\n"
    )
    program += "print([name for name in ('sqlalchemy', 'alembic', 'psycopg') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_migrations_make_the_tables(queue: SqlQueue) -> None:
    with queue._database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    scripts = ScriptDirectory(str(Path(latentry_store_sql.__file__).with_name("migrations")))
    assert scripts.get_heads() == [HEAD]


def test_a_later_version_is_refused(sqlite: Callable[[], SqlQueue], tmp_path: Path) -> None:
    queue = sqlite()
    with queue._database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'hundredth'"))
    queue.close()
    assert "is of a later version: 'hundredth'; pip install --upgrade latentry-store-sql" in refused(tmp_path)
    assert "later version" in refused(tmp_path, open_beside)


def test_another_host_is_told_who_has_the_folder_until_that_one_is_killed(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    job = queue.submit(Submission({"task": "toy"}))
    queue.close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert holder.stdin
    assert holder.stdout.readline() == b"held\n"
    said = refused(tmp_path)
    assert said.startswith(f"{tmp_path} is in use by process {holder.pid} on ")
    beside = open_beside(tmp_path)
    found = beside.job(job.id)
    assert found
    assert found.status == "running"
    beside.close()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    queue = open_queue(tmp_path)
    claim = queue.claim("worker", 60)
    assert claim
    assert (claim.job.id, claim.job.attempts) == (job.id, 2)
    queue.close()


def test_a_host_that_is_refused_leaves_the_folder_s_holder_in_peace(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    job = queue.submit(Submission({"task": "toy"}))
    claim = queue.claim("worker", 60)
    assert claim
    for _ in range(2):
        refused(tmp_path)
    assert queue.renew(claim, 60, 0.5).id == job.id
    queue.close()
    open_queue(tmp_path).close()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    for opening in (open_queue, open_beside):
        assert refused(tmp_path, opening).startswith(f"{tmp_path / FILE}: it is ")
    assert (tmp_path / FILE).read_bytes() == damage


def test_a_database_that_is_damaged_in_the_middle_is_said_to_be(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    for number in range(50):
        queue.submit(Submission({"task": "toy", "prompt": "x" * 3000}, key=str(number)))
    queue.close()
    file = tmp_path / FILE
    data = bytearray(file.read_bytes())
    data[8192 : len(data) // 2] = os.urandom(len(data) // 2 - 8192)
    file.write_bytes(data)
    with pytest.raises(Unavailable, match="it is damaged; restore a copy"):
        open_queue(tmp_path).jobs(limit=100)


def test_a_database_that_another_program_locks_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.05)
    queue = open_queue(tmp_path)
    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another program keeps it locked; end that program"):
            queue.submit(Submission({"task": "toy"}))
        other.execute("ROLLBACK")
    other.close()
    queue.submit(Submission({"task": "toy"}))
    queue.close()


def test_a_full_disk_refuses_jobs_and_loses_none(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    pages = 200

    def bound(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine = queue._database._engine
    event.listen(engine, "connect", bound)
    engine.dispose()
    accepted = list(until_full(queue))
    with pytest.raises(Unavailable, match="the disk is full; free some space"):
        queue.claim("worker", 60)
    pages = 100_000
    engine.dispose()
    accepted.append(queue.submit(Submission({"task": "toy"})).id)
    assert [job.id for job in queue.jobs(limit=1000)] == accepted[::-1]
    assert [claim.job.id for claim in all_claims(queue)] == accepted
    queue.close()


def until_full(queue: SqlQueue) -> Iterator[str]:
    """The ids of large jobs, until one is refused."""
    for _ in range(1000):
        try:
            yield queue.submit(Submission({"task": "toy", "prompt": "x" * 8000})).id
        except Unavailable:
            return
    raise AssertionError("the disk is never full")


def test_connections_that_the_server_ends_are_made_anew(
    postgresql: Callable[[], SqlQueue], server: str
) -> None:
    queue = postgresql()
    job = queue.submit(Submission({"task": "toy"}))
    with psycopg.connect(server) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert queue.job(job.id) == job
    queue.close()


@pytest.fixture
def mine() -> Iterator[Path]:
    """A folder of an ordinary user, as whom the test runs while it is used."""
    with tempfile.TemporaryDirectory() as name:
        folder, user = Path(name), os.geteuid()
        if user == 0:
            folder.chmod(0o755)
            open_queue(folder / "imports all that root alone may read").close()
            os.seteuid(NOBODY)
        else:
            folder.chmod(0o555)
        yield folder
        os.seteuid(user)
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_written_to_is_named(mine: Path) -> None:
    assert refused(mine) == f"{mine} cannot be locked: Permission denied"
    assert refused(mine / "new") == f"{mine / 'new'} cannot be made: Permission denied"


def test_a_database_that_cannot_be_written_to_is_named(mine: Path) -> None:
    user, nobody = os.geteuid(), os.geteuid() == NOBODY
    if nobody:
        os.seteuid(0)
    mine.chmod(0o755)
    open_queue(mine).close()
    for path in mine.glob("jobs.sqlite*"):
        path.chmod(0o444)
    mine.chmod(0o555)
    os.seteuid(user)
    with pytest.raises(Unavailable, match="let the host write to the data folder") as caught:
        open_beside(mine).submit(Submission({"task": "toy"}))
    assert "\n" not in str(caught.value)


def test_a_file_in_the_folder_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert refused(tmp_path / "file") == f"{tmp_path / 'file'} cannot be made: File exists"
    assert (
        refused(tmp_path / "file" / "more") == f"{tmp_path / 'file' / 'more'} cannot be made: Not a directory"
    )


def test_a_clock_that_jumps_loses_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = open_queue(tmp_path)
    queue.submit(Submission({"task": "toy"}))
    claim = queue.claim("worker", 60)
    assert claim
    now = time.time()
    for jump in (1e8, -1e8):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert queue.recover() == []
        assert abs(queue.renew(claim, 60, 0.5).created - now) < 60
    queue.close()
    again = open_queue(tmp_path)  # the clock is three years behind what the queue has kept
    assert again.claim("worker", 60)
    again.close()


def test_what_a_killed_host_ran_at_once_has_failed(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    for name, status in (("a", "queued"), ("b", "running"), ("c", "done")):
        queue.put(JobRecord(name, Request(task="toy"), status))
    queue.close()
    again = open_queue(tmp_path)
    assert [record.status for record in again.records()] == ["failed", "failed", "done"]
    assert again.records()[0].error == "its host ended before it did"
    again.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "LATENTRY_DATABASE_URL is no address of a database"),
        ("mysql://u:secret@h/d", "LATENTRY_DATABASE_URL does not take 'mysql'"),
        ("sqlite:///x", "LATENTRY_DATABASE_URL does not take 'sqlite'"),
        ("postgresql://u:secret@127.0.0.1:1/d", "the database: connection failed"),
        ("postgresql://u:secret@127.0.0.1:port/d", "LATENTRY_DATABASE_URL is no address of a database"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_to_without_its_password(
    address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTRY_DATABASE_URL", address)
    for opening in (open_queue, open_beside):
        line = refused(tmp_path, opening)
        assert line.startswith(said)
        assert "secret" not in line


@pytest.mark.parametrize("name", ["LATENTRY_QUEUE_LIMIT", "LATENTRY_QUEUE_ATTEMPTS", "LATENTRY_QUEUE_EVENTS"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "nan", "1e400", "true"])
def test_a_setting_that_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: "):
        load_settings({name: value})


def test_settings_that_are_right_are_taken() -> None:
    environ = {"LATENTRY_QUEUE_LIMIT": "5", "LATENTRY_QUEUE_ATTEMPTS": "2", "LATENTRY_QUEUE_EVENTS": "10"}
    settings = load_settings({**environ, "LATENTRY_DATABASE_URL": "", "OTHER": "x"})
    assert (settings.queue_limit, settings.queue_attempts, settings.queue_events) == (5, 2, 10)
    assert settings.database_url is None


def test_attempts_and_events_are_as_many_as_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTRY_QUEUE_ATTEMPTS", "1")
    monkeypatch.setenv("LATENTRY_QUEUE_EVENTS", "10")
    queue = open_queue(tmp_path)
    job = queue.submit(Submission({"task": "toy"}))
    claim = queue.claim("worker", 60)
    assert claim
    for _ in range(50):
        queue.append(claim, "step", {})
    assert [event.number for event in queue.events(job.id)] == list(range(43, 53))
    assert queue.release(claim, failed=True).status == "failed"
    queue.close()
