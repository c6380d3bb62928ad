"""Hosts with the executor `workers` on the toy's model and a plugin that does what its prompt says."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from latentry import Config, Host, Request

PLUGINS = ("toy", "acting", "workers")


class Workshop:
    """A host with workers, and ways to look at them from outside."""

    def __init__(self, config: Config) -> None:
        self.host = Host(config=config)
        self.executor: Any = self.host.executor

    def act(self, program: str, **more: Any) -> Any:
        """Run the program in a stage of a job."""
        return self.host.run(Request(task="act", prompt=program), **more)

    def ready(self) -> list[psutil.Process]:
        """The workers' processes, once all of them take jobs."""
        until(lambda: all(seat.up and not seat.running for seat in self.executor._seats))
        return [psutil.Process(seat._process.pid) for seat in self.executor._seats]


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits until something is so."""
    return until


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the plugin `acting` is installed, for this process and for workers."""
    folder = tmp_path_factory.mktemp("installed")
    information = folder / "acting-0.1.dist-info"
    information.mkdir()
    shutil.copy(Path(__file__).with_name("acting.py"), folder)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acting\nVersion: 0.1\n")
    (information / "entry_points.txt").write_text("[latentry]\nacting = acting\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield folder


@pytest.fixture
def opened(installed: Path, tmp_path: Path) -> Iterator[Callable[..., Workshop]]:
    """Opens hosts whose workers have the given options, and closes them."""
    with ExitStack() as closing:

        def open_one(plugins: tuple[str, ...] = PLUGINS, **options: Any) -> Workshop:
            about = Config(
                executor="workers", plugins=plugins, data_dir=tmp_path, options={"workers": options}
            )
            workshop = Workshop(about)
            closing.callback(workshop.host.close)
            return workshop

        yield open_one


@pytest.fixture(scope="module")
def workshop(installed: Path) -> Iterator[Workshop]:
    """One host with one worker, for tests that leave it as it is."""
    shared = Workshop(Config(executor="workers", plugins=PLUGINS))
    yield shared
    shared.host.close()
