"""Find out what an import costs."""

import os
import subprocess
import sys

HEAVY = frozenset(
    {"PIL", "diffusers", "numpy", "onnxruntime", "openvino", "scipy", "tensorrt", "torch", "transformers"}
)
"""Modules that loading a plugin, planning a job or probing a device must not import."""


def heavy_imports(code: str, heavy: frozenset[str] = HEAVY) -> frozenset[str]:
    """The modules of `heavy` that are imported in a fresh Python after it ran `code`."""
    ending = f"\nimport sys; print('\\n', *(sys.modules.keys() & {set(heavy)!r}))"
    ran = subprocess.run(
        [sys.executable, "-c", code + ending],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if ran.returncode:
        raise AssertionError(f"the code failed:\n{ran.stderr}")
    return frozenset(ran.stdout.rsplit("\n", 2)[-2].split())
