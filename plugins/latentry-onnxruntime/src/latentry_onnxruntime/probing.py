"""Say which execution providers the installed build of ONNX Runtime has, without importing it."""

from importlib.util import find_spec
from pathlib import Path

from latentry_onnxruntime.providers import PROVIDERS, Provider
from latentry_sdk import DeviceReport, Memory
from latentry_sdk.machine import installed, system_memory

NEEDED = ("torch", "onnx", "onnxscript")
RANK = 4
"""Below the processor's 10 and OpenVINO's 5: these devices are used where they are asked for."""


def probe(provider: Provider) -> DeviceReport:
    """Whether the installed build has the provider, by the library files it came with.

    A build for hardware that is not there is found out when the device is opened or a model placed.
    """
    for name in NEEDED:
        if find_spec(name) is None:
            return DeviceReport(False, f"{name} is not installed", fix=f"pip install {name}", rank=RANK)
    folder = build_folder()
    if folder is None:
        fix = f"pip install {provider.distribution}"
        return DeviceReport(False, "onnxruntime is not installed", fix=fix, rank=RANK)
    build = build_name(folder)
    detail = f"{build} {installed(build)}"
    if not carries(folder, provider):
        return DeviceReport(False, f"{detail} has no {provider.label}", fix=swap(build, provider), rank=RANK)
    memory = system_memory() if provider.on_host else Memory()
    return DeviceReport(True, detail, dtypes=provider.dtypes, memory=memory, rank=RANK)


def build_folder() -> Path | None:
    """Where the libraries of the installed build lie."""
    spec = find_spec("onnxruntime")
    if spec is None or not spec.origin:
        return None
    return Path(spec.origin).parent / "capi"


def build_name(folder: Path) -> str:
    """The distribution that the build says it is: onnxruntime, onnxruntime-gpu …"""
    try:
        lines = (folder / "build_and_package_info.py").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "onnxruntime"
    names = [line.partition("=")[2].strip(" '\"") for line in lines if line.startswith("package_name")]
    return names[0] if names else "onnxruntime"


def carries(folder: Path, provider: Provider) -> bool:
    """Whether the provider's library is among the build's files."""
    names = (f"lib{provider.library}.so", f"lib{provider.library}.dylib", f"{provider.library}.dll")
    return provider.on_host or any((folder / name).is_file() for name in names)


def swap(build: str, provider: Provider) -> str:
    """What to type so that the build with the provider takes the installed one's place."""
    if build == provider.distribution:
        return f"install a build of {build} with {provider.label}"
    return f"pip uninstall {build} && pip install {provider.distribution}"


def present() -> tuple[str, ...]:
    """The devices of the installed build."""
    folder = build_folder()
    return tuple(each.device for each in PROVIDERS if folder and carries(folder, each))
