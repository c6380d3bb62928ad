"""Hosts with the executor `workers` on the toy's model, and what to wait for."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from latentry import Config, Host
from latentry_workers.executor import WorkersExecutor

Made = Callable[..., Host]


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until it is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Makes hosts whose workers have the given options, and closes them."""
    hosts: list[Host] = []

    def make(plugins: tuple[str, ...] = ("toy", "workers"), **options: Any) -> Host:
        config = Config(executor="workers", plugins=plugins, data_dir=tmp_path, options={"workers": options})
        hosts.append(Host(config=config))
        assert isinstance(hosts[-1].executor, WorkersExecutor)
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()
