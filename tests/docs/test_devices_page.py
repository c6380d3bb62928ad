"""docs/devices.md has the types, ranks, options and builds of torch that the code has."""

import re
from pathlib import Path

import pytest

import latentry_cuda.probing
import latentry_directml.probing
import latentry_ipex.probing
import latentry_mps.probing
import latentry_rocm.probing
import latentry_tensorrt.probing
import latentry_xpu.probing
from latentry_sdk.torch_builds import missing_build

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
PLUGINS = {
    "cuda": latentry_cuda,
    "rocm": latentry_rocm,
    "xpu": latentry_xpu,
    "mps": latentry_mps,
    "directml": latentry_directml,
    "ipex": latentry_ipex,
    "tensorrt": latentry_tensorrt,
}
DTYPES = {
    "cuda": latentry_cuda.probing.dtypes_of((9, 0)),
    "rocm": latentry_rocm.probing.dtypes_of("gfx942"),
    "tensorrt": latentry_tensorrt.options.DTYPES,
}
INDICES = {
    "cuda": latentry_cuda.probing.INDICES[13],
    "rocm": latentry_rocm.probing.INDEX,
    "xpu": latentry_xpu.probing.INDEX,
}
ROW = re.compile(r"^\| `(\w+)`.* \| `latentry-\w+` \| `(.+)` \| (.+) \| (\d+) \|$", re.MULTILINE)


def shown(default: object) -> str:
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("name", PLUGINS)
def test_the_table_has_each_devices_build_types_and_rank(name: str) -> None:
    rows = {row[0]: row[1:] for row in ROW.findall(PAGE)}
    probing = PLUGINS[name].probing
    install, types, rank = rows[name]
    assert tuple(types.split(", ")) == DTYPES.get(name, getattr(probing, "DTYPES", None))
    assert int(rank) == probing.RANK
    if name in INDICES:
        missing = missing_build(None, "cuda", INDICES[name], 0)
        assert missing
        assert missing.fix == install


def test_the_table_of_options_is_whole_and_has_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\S+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (name, option, shown(field.default), field.description)
        for name, plugin in PLUGINS.items()
        for option, field in plugin.register_devices()[0].options.model_fields.items()
        if option != "cache"
    ]
