"""The benchmark of SDXL on a GPU: all of it with a tiny model, and what becomes of a side that fails."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("sdxl_on_gpu")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_side_draws_what_diffusers_draws(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(BENCHMARKS / "sdxl_on_gpu.py"),
        "--tiny",
        "--device",
        "cpu",
        "--steps",
        "3",
    ]
    command += ["--turns", "1", "--json", str(tmp_path / "found.json")]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads((tmp_path / "found.json").read_text())
    names = [f"| {name}" for name in found["sides"]]  # when they are measured, and with all their turns
    assert [line.split(" | ")[0] for line in printed.splitlines()[2:]] == [*names, "all turns:", *names]
    assert len(found["sides"]) == 6
    for name, side in found["sides"].items():
        assert not side["error"], name
        assert len(side["seconds"]) >= 1
        assert side["distance"] < 1e-5
        assert [*map(bool, side["ratios"])] == [True] * (side["reference"] != "")
    assert found["operations"] > 3 * found["step"] > 0


class Fails:
    """A side that opens, and cannot draw."""

    held, closed = 0, 0

    def draw(self, _prompt: str) -> None:
        raise RuntimeError("no kernel | image\nis there")


def test_a_side_that_fails_has_its_error_in_its_row_and_loses_no_other(script: Any) -> None:
    import torch

    class Draws:
        held = 0

        def draw(self, prompt: str) -> Any:
            return script.Drawn(None, torch.ones(2) if "1" in prompt else torch.full((2,), 2.0))

    bench = script.Bench(script.Work(Path("none"), {}, "cpu", "float32", 64, 1), 2)
    good = script.Choice(lambda *_: Draws(), "", 0)
    bench.measure(script.PLAIN, good)
    bad = bench.measure("bad", script.Choice(lambda *_: Fails(), script.PLAIN, 0))
    after = bench.measure("after", script.Choice(lambda *_: Draws(), "bad", 0))
    assert script.row("bad", bad, 1.0, 0.0)[1] == "RuntimeError: no kernel / image is there"
    assert not after.error
    assert (after.ratios, len(after.seconds)) == ([], 2)
    assert after.distance == 0


def test_latents_that_are_not_finite_are_an_error(script: Any) -> None:
    import torch

    class Draws:
        held = 0

        def draw(self, _prompt: str) -> Any:
            return script.Drawn(None, torch.tensor([1.0, float("nan")]))

    bench = script.Bench(script.Work(Path("none"), {}, "cpu", "float32", 64, 1), 1)
    assert "not finite" in bench.measure("nan", script.Choice(lambda *_: Draws(), "", 0)).error


def test_a_row_tells_the_share_of_the_roofline(script: Any) -> None:
    result = script.Result(first=9.0, seconds=[1.0, 2.0, 4.0], ratios=[1.5], reference="x", kept=5 * 10**9)
    row = dict(zip(script.HEAD, script.row("y", result, 600e12, 600.0), strict=True))
    assert (row["a picture"], row["TFLOP/s"], row["of roofline"]) == ("2.000 s", "300", "50.0%")


def test_a_page_keeps_the_rows_of_others_and_their_order(script: Any) -> None:
    page = "before\n\n<!-- here -->\n\nafter\n"
    one = script.page_with(page, "here", ("side", "x"), ("a", "b"), [("b", "2")])
    both = script.page_with(one, "here", ("side", "x"), ("a", "b"), [("a", "1")])
    assert both == ("before\n\n<!-- here -->\n| side | x |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n\nafter\n")
