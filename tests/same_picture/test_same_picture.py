"""Every device of this machine draws the picture that torch draws on the processor."""

import re
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from latentry import Host

ROOT = Path(__file__).parents[2]
LEVELS, SHARE = 2, 0.01
"""Bounds on a channel of a pixel, of 255, and on the share of values that differ at all."""

ROW = re.compile(
    r"^\| (?P<way>[^|]+) \| (?P<most>\d+) \| (?P<share>[\d.]+) % \| ([\d.]+) \| (?P<tiny>\d+) \|$", re.M
)


@pytest.fixture(scope="module")
def compared() -> Iterator[ModuleType]:
    spec = spec_from_file_location("devices_compared", ROOT / "tests" / "benchmarks" / "devices_compared.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look for it there
        spec.loader.exec_module(module)
        yield module


@pytest.mark.slow
@pytest.mark.parametrize("way", ["openvino", "onnxruntime, openvino and cpu", "cpu, compiled by aot_eager"])
def test_a_way_draws_what_the_processor_draws(
    compared: ModuleType, way: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("same")
    work = compared.Work(3, 4, compared.tiny_sdxl(folder / "tiny"), folder)
    with Host() as host:
        first, found = list(compared.rows(host, work, [way]))
    assert first[1:3] == ("0", "0.00 %")
    assert int(found[1]) <= LEVELS
    assert float(found[2].rstrip(" %")) <= 100 * SHARE
    assert found[3] == first[3]
    assert int(found[4]) <= LEVELS


def test_the_page_has_a_row_within_bounds_for_each_way(compared: ModuleType) -> None:
    page = (ROOT / "docs" / "devices-compared.md").read_text(encoding="utf-8")
    rows = {row["way"]: row for row in ROW.finditer(page)}
    assert set(rows) == set(compared.WAYS)
    assert all(int(row["most"]) <= LEVELS and int(row["tiny"]) <= LEVELS for row in rows.values())
    assert all(float(row["share"]) <= 100 * SHARE for row in rows.values())
    assert len({row[4] for row in rows.values()}) == 1, "a device recognises more or less"


def test_two_pictures_that_differ_are_told_apart(compared: ModuleType) -> None:
    from PIL import Image

    plain, other = Image.new("RGB", (2, 2), "black"), Image.new("RGB", (2, 2), "black")
    other.putpixel((0, 0), (0, 3, 0))
    assert compared.difference([plain, plain], [plain, other]) == (3, 1 / 24)
