"""A host in one environment, and a worker in that of the extension, which draws with the device `ipex`.

`tox run -e ipex,ipex-worker` makes both environments. Where there is one with the extension already:
`LATENTRY_IPEX_PYTHON=…/bin/python pytest plugins/latentry-ipex/tests/test_ipex_worker.py`.
"""

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import psutil
import pytest

from latentry import Config, Host, Request

HERE = find_spec("intel_extension_for_pytorch") is not None
THERE = os.environ.get("LATENTRY_IPEX_PYTHON") or (sys.executable if HERE else "")
ASKED: dict[str, Any] = {"task": "txt2img", "prompt": "a red apple", "model": "emoji", "steps": 6, "seed": 7}
VERSION = "from importlib.metadata import version; print(version('torch'))"

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(not THERE, reason="no interpreter with the extension: LATENTRY_IPEX_PYTHON names one"),
]


@pytest.fixture(scope="module")
def host():
    """A host whose one worker has the extension's interpreter and places everything on `ipex`."""
    processes = {"intel": {"place": {"*": "ipex"}, "python": THERE}}
    with Host(config=Config(executor="workers", options={"workers": {"processes": processes}})) as made:
        yield made


@pytest.fixture(scope="module")
def drawn(host):
    """A picture by the worker."""
    return host.run(Request(**ASKED))


def test_every_component_is_on_the_device_with_the_torch_of_that_interpreter(drawn):
    assert set(drawn.applied["placements"].values()) == {"ipex"}
    found = subprocess.run([THERE, "-c", VERSION], capture_output=True, text=True, check=True).stdout.strip()
    assert drawn.applied["libraries"]["torch"] == found
    if not HERE:
        assert found != version("torch")


def test_the_worker_runs_that_interpreter_and_has_the_extension_loaded(drawn):
    """Its own libraries are in the worker's memory; a host where it is not installed does without it."""
    workers = [each for each in psutil.Process().children() if "latentry_workers.worker" in each.cmdline()]
    assert [each.cmdline()[0] for each in workers] == [THERE]
    paths = [area.path for area in workers[0].memory_maps()]
    assert any("intel_extension_for_pytorch" in path for path in paths)
    assert HERE or "intel_extension_for_pytorch" not in sys.modules


def test_the_picture_is_that_of_the_processor_but_for_rounding(drawn):
    import numpy as np

    with Host() as inline:
        wanted = inline.run(Request(**ASKED, place={"*": "cpu"}))
    mine, theirs = (np.asarray(each.artifacts[0].open(), dtype=np.int16) for each in (wanted, drawn))
    assert mine.std() > 10
    assert abs(mine - theirs).max() <= 2


def test_the_next_job_finds_the_model_warm(host, drawn):
    again = host.run(Request(**ASKED))
    assert again.artifacts[0].open().tobytes() == drawn.artifacts[0].open().tobytes()
