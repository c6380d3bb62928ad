"""The embedded model on two real devices: the same picture, the same work, and a profile that is used."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from latentry_sdk import Config, Host, Request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PLUGINS = (
    "bench,channels-last,cpu,emoji,images,memory,openvino,samplers,schedules,stable-diffusion,tome,txt2img"
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `latentry bench` says of `cpu` and `openvino`, and of channels-last and tome on both."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "latentry", "bench", "--model", "emoji", "--steps", "2", "--runs", "2"]
    command += ["--device", "cpu", "--device", "openvino", "--dtype", "float32", "--json", "--save"]
    command += ["--optimizer", "none", "--optimizer", "unet=channels-last+unet=tome", "--width", "64"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
    variables |= {"LATENTRY_PLUGINS": PLUGINS, "LATENTRY_CONFIG": str(folder / "none.toml")}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def row(found: dict[str, Any], device: str, *optimizers: str) -> dict[str, Any]:
    return next(r for r in found["rows"] if (r["device"], tuple(r["optimizers"])) == (device, optimizers))


def test_both_devices_make_the_reference_picture(found: dict[str, Any]) -> None:
    assert found["reference"] == "cpu float32"
    assert row(found, "cpu")["difference"] == {"largest": 0, "mean": 0.0, "same": "yes"}
    assert row(found, "openvino")["difference"]["same"] == "yes"
    assert 0 < row(found, "cpu")["step"]["median"] < row(found, "cpu")["picture"]["median"]


def test_what_changes_the_picture_is_said_and_seen(found: dict[str, Any]) -> None:
    way = row(found, "cpu", "unet=channels-last", "unet=tome")
    assert way["approximate"]
    assert way["difference"]["largest"] > 3
    assert found["winner"] != found["rows"].index(way)


def test_a_device_that_converts_does_not_take_what_changes_torch(found: dict[str, Any]) -> None:
    way = row(found, "openvino", "unet=channels-last", "unet=tome")
    assert (way["status"], way["first"]) == ("unfit", None)
    assert "channels-last" in way["why"]


def test_both_do_the_same_work_and_reach_a_share_of_the_roofline(found: dict[str, Any]) -> None:
    plain, other = row(found, "cpu"), row(found, "openvino")
    assert plain["work"] == other["work"]
    assert found["uncounted"] == {}
    ((_, unet),) = found["work"]["unet"].items()
    assert plain["work"]["flops"] == unet["flops"]
    weights = 4 * found["job"]["parameters"]["unet"]
    assert plain["work"]["bytes"] == pytest.approx(weights + 4 * unet["values"])
    for way in (plain, other):
        assert way["share"] == pytest.approx(way["bound"] / way["step"]["median"])
        assert 0 < way["share"] < 3
    assert (plain["peak"]["own"], other["peak"]["own"]) == (True, False)


def test_the_profile_is_what_later_plans_go_by(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTRY_PROFILE", found["saved"])
    won = found["rows"][found["winner"]]
    host = Host(config=Config())
    plan = host.plan(Request(task="txt2img", model="emoji", prompt="a red apple"))
    assert {place.device for place in plan.placements.values()} == {won["device"]}
    assert {place.dtype for place in plan.placements.values()} == {"float32"}
    (note,) = plan.notes
    assert note.startswith(f"by the machine's profile: {won['device']} in float32; about ")
    named = host.plan(Request(task="txt2img", model="emoji", prompt="a red apple", place={"*": "cpu"}))
    assert {place.device for place in named.placements.values()} == {"cpu"}
    elsewhere = Request(task="txt2img", model="emoji", width=128, height=128, steps=30, place={"*": "cpu"})
    expected = host.plan(elsewhere).seconds
    assert expected
    host.run(elsewhere.model_copy(update={"steps": 1}))
    begun = perf_counter()
    host.run(elsewhere)
    assert 1 / 4 < expected / (perf_counter() - begun) < 4, "reckoned from a smaller picture of fewer steps"
    owners = json.loads(Path(found["saved"]).read_text())["entries"][0]["owners"]
    assert {"write_images", "karras"} <= {*owners}
    assert not {"stable-diffusion.denoise", "cpu", "tome"} & {*owners}
    assert Path(found["saved"]).name == "machine.json"
