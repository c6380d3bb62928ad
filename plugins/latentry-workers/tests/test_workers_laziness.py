"""The host imports nothing that its workers import."""

import subprocess
import sys

from latentry_sdk.testing import HEAVY

PROGRAM = """
import sys
from latentry import Config, Host, Request
with Host(config=Config(executor="workers")) as host:
    assert host.run(Request(task={task!r}, prompt={prompt!r}, steps=2)).artifacts
assert host.config.executor == "workers"
print(sorted(set({heavy!r}) & sys.modules.keys()))
"""


def imported(task: str, prompt: str) -> str:
    program = PROGRAM.format(task=task, prompt=prompt, heavy=sorted(HEAVY))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_after_a_job_of_the_toy() -> None:
    assert imported("toy", "a cross") == "[]"


def test_after_a_job_that_needs_torch() -> None:
    assert imported("txt2img", "a red apple") == "[]"
