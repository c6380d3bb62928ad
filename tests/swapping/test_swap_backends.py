"""One backend is taken away and another put in its place, in an environment made for that and thrown away."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = ("emoji", "images", "prompt", "samplers", "schedules", "stable-diffusion", "txt2img")
"""Plugins that a picture needs beside a device."""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of a new environment: this one's libraries, and of Latentry what `BASE` names."""
    libraries, environment = tmp_path / "libraries", tmp_path / "environment"
    libraries.mkdir()
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        if "latentry" not in found.name and found.suffix != ".pth":
            (libraries / found.name).symlink_to(found)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (own,) = environment.glob("lib/python*/site-packages")
    (own / "libraries.pth").write_text(f"{libraries}\n")
    made = environment / "bin" / "python"
    sources = [str(ROOT), *(str(ROOT / "plugins" / f"latentry-{name}") for name in BASE)]
    editable = [word for source in sources for word in ("-e", source)]
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *editable]
    subprocess.run([str(made), *install], check=True, env=clean(tmp_path))
    return made


def clean(home: Path) -> dict[str, str]:
    """The environment's variables, with a home of its own, so that nothing is kept from before."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its environments have other folders")
def test_the_picture_is_the_same_before_and_after_the_backend_is_swapped(
    python: Path, tmp_path: Path
) -> None:
    listing = [str(python), "-m", "latentry", "plugins"]
    before = subprocess.run(listing, check=True, capture_output=True, text=True, env=clean(tmp_path)).stdout
    assert "txt2img" in before
    assert "openvino" not in before
    assert "cpu" not in before
    script = [str(python), str(ROOT / "examples" / "swap_backends.py"), "latentry-cpu", "latentry-openvino"]
    command = [*script, "--source", str(ROOT / "plugins")]
    done = subprocess.run(command, capture_output=True, text=True, env=clean(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout.splitlines()[-1]
    assert said.startswith("largest difference: ")
    assert int(said.split()[2]) <= 2
    assert (tmp_path / "cache" / "latentry" / "openvino").is_dir(), "the second backend was not used"
    after = subprocess.run(listing, check=True, capture_output=True, text=True, env=clean(tmp_path)).stdout
    assert after == before
