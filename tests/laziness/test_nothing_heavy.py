"""What looks, lists and plans imports no tensor library; what runs a job does."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "diffusers",
    "transformers",
    "numpy",
    "PIL",
    "openvino",
    "scipy",
    "accelerate",
    "safetensors",
)

REPORT = f"\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
"""Appended to a program: its last line on stderr is a list of what it imported."""

MOUNTED = """
from latentry import Host
from latentry_sdk.service import MountedSurface
host = Host()
mounted = [one for one in host.registry.surfaces.values() if isinstance(one, MountedSurface)]
assert [surface.mount({service}) for surface in mounted]
""".format(service='type("Service", (), {"host": host})()')

IMPORTS = {
    "the kernel": "import latentry",
    "the sdk": "import latentry_sdk",
    "a host with all plugins": "from latentry import Host; host = Host()",
    "the devices": "from latentry import Host; assert Host().devices()",
    "the models": "from latentry import Host; assert Host().models()",
    "the surfaces of a server": MOUNTED,
}

PLAN = """
from latentry import Host, Request
plan = Host().plan(Request(task={task!r}, prompt="x", inputs={inputs!r}, {more}))
assert plan.seeds and plan.placements
"""

PLANS = {
    "txt2img": PLAN.format(task="txt2img", inputs={}, more=""),
    "inpaint": PLAN.format(task="inpaint", inputs={"image": "a.png", "mask": "b.png"}, more=""),
    "txt2img on two devices": PLAN.format(task="txt2img", inputs={}, more="place={'unet': 'openvino'}"),
}

COMMANDS = (
    ["--help"],
    ["txt2img", "--help"],
    ["inpaint", "--help"],
    ["replay", "--help"],
    ["bench", "--help"],
    ["bench", "--show", "--json"],
    *(
        [name, "--json"]
        for name in ("plugins", "samplers", "schedulers", "tasks", "devices", "models", "doctor")
    ),
)


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def heavy_after(program: str, folder: Path) -> str:
    done = python("-c", program + REPORT, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


def heavy_after_command(arguments: Sequence[str], folder: Path) -> tuple[str, str]:
    """What a command imported, and its stdout."""
    program = f"import latentry_cli as cli; code = cli.run({list(arguments)!r}); assert code == 0, code"
    done = python("-c", program + REPORT, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1], done.stdout


@pytest.mark.parametrize("program", IMPORTS.values(), ids=IMPORTS.keys())
def test_importing_and_starting_a_host_imports_nothing_heavy(program: str, tmp_path: Path) -> None:
    assert heavy_after(program, tmp_path) == "[]"


@pytest.mark.parametrize("program", PLANS.values(), ids=PLANS.keys())
def test_planning_a_job_imports_nothing_heavy(program: str, tmp_path: Path) -> None:
    assert heavy_after(program, tmp_path) == "[]"


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_that_only_looks_imports_nothing_heavy(arguments: Sequence[str], tmp_path: Path) -> None:
    heavy, stdout = heavy_after_command(arguments, tmp_path)
    assert heavy == "[]"
    if "--json" in arguments:
        json.loads(stdout)


def test_every_plugin_was_there_and_active(tmp_path: Path) -> None:
    _, stdout = heavy_after_command(["plugins", "--json"], tmp_path)
    listed = {row["distribution"]: row["status"] for row in json.loads(stdout)}
    here = {path.parent.name for path in Path(__file__).parents[2].glob("plugins/*/pyproject.toml")}
    assert here <= listed.keys()
    assert {listed[name] for name in here} == {"active"}


def test_a_user_s_mistake_costs_no_heavy_import_either(tmp_path: Path) -> None:
    program = "import latentry_cli as cli; assert cli.run(['txt2img', 'x', '--sampler', 'none']) == 2"
    assert heavy_after(program, tmp_path) == "[]"


def test_running_a_job_does_import_torch(tmp_path: Path) -> None:
    command = ["txt2img", "a red apple", "-o", "apple.png", "--steps", "1", "--seed", "1"]
    heavy, _ = heavy_after_command(command, tmp_path)
    assert "'torch'" in heavy
    assert (tmp_path / "apple.png").is_file()
