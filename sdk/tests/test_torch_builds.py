"""Builds of torch are told apart without importing torch."""

import pytest
import torch

from latentry_sdk.testing import heavy_imports
from latentry_sdk.torch_builds import TorchBuild, missing_build, torch_build

VERSION = """
from typing import Optional
__all__ = ['__version__', 'cuda', 'hip']
__version__ = {version!r}
debug = False
cuda: Optional[str] = {cuda!r}
git_version = 'abc'
hip: Optional[str] = {hip!r}
{more}
"""

BUILDS = {
    "2.13.0+cu130": TorchBuild("2.13.0+cu130", cuda="13.0"),
    "2.9.1+rocm6.4": TorchBuild("2.9.1+rocm6.4", hip="6.4.43482"),
    "2.13.0+xpu": TorchBuild("2.13.0+xpu", xpu="20250301"),
    "2.4.1+cpu": TorchBuild("2.4.1+cpu"),
}
RUNTIMES = {"2.13.0+cu130": "CUDA 13.0", "2.9.1+rocm6.4": "ROCm 6.4.43482", "2.4.1+cpu": "the CPU"}


@pytest.mark.parametrize("name", BUILDS)
def test_each_build_is_read_from_its_own_file(name, tmp_path):
    build = BUILDS[name]
    more = f"xpu: Optional[str] = {build.xpu!r}" if build.xpu else ""  # older ones do not say
    source = VERSION.format(version=build.version, cuda=build.cuda, hip=build.hip, more=more)
    (tmp_path / "version.py").write_text(source)
    assert torch_build(tmp_path) == build
    assert build.runtime == RUNTIMES.get(name, "XPU 20250301")


def test_the_installed_build_is_what_torch_itself_says():
    build = torch_build()
    assert (build.version, build.cuda, build.hip) == (
        torch.__version__,
        torch.version.cuda,
        torch.version.hip,
    )


def test_reading_the_build_imports_no_torch():
    assert not heavy_imports("from latentry_sdk.torch_builds import torch_build; assert torch_build()")


def test_without_torch_there_is_no_build(tmp_path, monkeypatch):
    assert torch_build(tmp_path) is None
    monkeypatch.setattr("latentry_sdk.torch_builds.find_spec", lambda name: None)
    assert torch_build() is None


def test_a_missing_or_wrong_build_is_reported_with_the_right_one():
    none = missing_build(None, "cuda", "cu130", 3)
    assert (none.available, none.rank) == (False, 3)
    assert (none.detail, none.fix) == (
        "torch is not installed",
        "pip install torch -i https://download.pytorch.org/whl/cu130",
    )
    wrong = missing_build(BUILDS["2.4.1+cpu"], "cuda", "cu130", 3)
    assert wrong.detail == "the installed torch 2.4.1+cpu was built for the CPU"
    assert wrong.fix == "pip install --force-reinstall torch -i https://download.pytorch.org/whl/cu130"
    assert missing_build(BUILDS["2.13.0+cu130"], "cuda", "cu130", 3) is None
