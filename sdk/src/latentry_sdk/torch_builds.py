"""Say which build of torch is installed, without importing it.

The builds for CUDA, ROCm, XPU and the CPU share the name `torch`, so a plugin cannot require one of them: its
probe looks, and says which to install.
"""

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from latentry.types import DeviceReport

INDEX = "https://download.pytorch.org/whl"


@dataclass(frozen=True)
class TorchBuild:
    """The version of torch, and those of the runtimes it was built for; None for those it lacks."""

    version: str
    cuda: str | None = None
    hip: str | None = None
    xpu: str | None = None

    @property
    def runtime(self) -> str:
        """What it was built for, in words."""
        named = {"CUDA": self.cuda, "ROCm": self.hip, "XPU": self.xpu}
        return next((f"{name} {version}" for name, version in named.items() if version), "the CPU")


def torch_build(folder: Path | None = None) -> TorchBuild | None:
    """The build in `folder`, by default where `import torch` finds it; None where there is none."""
    if folder is None:
        spec = find_spec("torch")
        if spec is None or spec.origin is None:
            return None
        folder = Path(spec.origin).parent
    try:
        source = (folder / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    named = _constants(source)
    return TorchBuild(named.get("__version__") or "", named.get("cuda"), named.get("hip"), named.get("xpu"))


def reinstall(index: str) -> str:
    """The command that replaces torch by the build in `index`, one of pytorch.org's, as "cu130"."""
    return f"pip install --force-reinstall torch -i {INDEX}/{index}"


def missing_build(build: TorchBuild | None, runtime: str, index: str, rank: int) -> DeviceReport | None:
    """The report of a device that needs torch for `runtime` and finds none or another; None if it is there.

    `runtime` is a field of `TorchBuild`.
    """
    if build is None:
        return DeviceReport(
            False, "torch is not installed", fix=f"pip install torch -i {INDEX}/{index}", rank=rank
        )
    if getattr(build, runtime) is None:
        detail = f"the installed torch {build.version} was built for {build.runtime}"
        return DeviceReport(False, detail, fix=reinstall(index), rank=rank)
    return None


def _constants(source: str) -> dict[str, str | None]:
    """The names that a module gives a text or None."""
    found: dict[str, str | None] = {}
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, str)):
            found |= {target.id: value.value for target in targets if isinstance(target, ast.Name)}
    return found
