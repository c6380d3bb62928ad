"""A server with every plugin, every surface and worker processes imports nothing heavy, jobs included."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PROGRAM = """
import asyncio, sys
from pathlib import Path
from latentry_sdk import Host
from latentry_sdk.service import Caller, Wish
from latentry_api.app import create_app
from latentry_api.opening import opened
from latentry_api.settings import ServeOptions

with Host() as host, opened(host, ServeOptions(data=Path(sys.argv[1]))) as service:
    document = create_app(service).openapi()
    wish = Wish({"task": "txt2img", "prompt": "a red apple", "steps": 1, "seed": 1}, {})
    job = service.submit(wish, Caller())
    ended = asyncio.run(service.ended(job.id, Caller(), seconds=100))
    assert ended.status == "done", ended
    assert {"/sdapi/v1/txt2img", "/v1/images/generations"} <= document["paths"].keys()
heavy = ("torch", "diffusers", "transformers", "numpy", "PIL", "openvino", "scipy", "safetensors")
print([name for name in heavy if name in sys.modules])
"""


def test_the_host_of_a_server_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
