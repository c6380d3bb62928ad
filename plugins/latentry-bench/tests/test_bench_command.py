"""The command: what is tried, what a user gets wrong, and the profile shown and deleted."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

import latentry_cli as cli
from latentry_bench.candidates import Candidate, Wanted, candidates, default_optimizers
from latentry_bench.machine import signature
from latentry_bench.profile import Profile, profile_path, write
from latentry_sdk import Config, Host, Plan, Request
from latentry_sdk.footprints import largest_part


@pytest.fixture(scope="module")
def host() -> Host:
    """Every plugin that is installed."""
    return Host(config=Config())


@pytest.fixture(scope="module")
def plan(host: Host) -> Plan:
    return host.plan(Request(task="txt2img", model="emoji", place={"*": "cpu"}))


def test_the_plain_way_comes_first_and_each_technique_of_speed_is_tried(host: Host, plan: Plan) -> None:
    found = candidates(host, plan, Wanted(devices=("cpu",), dtypes=("float32",)))
    assert found[0] == Candidate("cpu", "float32")
    tried = {way.optimizer: way.approximate for way in found}
    assert tried == {
        "": False,
        "unet=attention-backend": False,
        "unet=channels-last": False,
        "unet=compile": False,
        "unet=deepcache": True,
        "unet=hypertile": True,
        "unet=tome": True,
    }


def test_what_saves_memory_and_not_time_is_not_tried(host: Host, plan: Plan) -> None:
    names = {text.partition("=")[2] for text in default_optimizers(plan, host.registry.optimizers)}
    assert names == {spec.name for spec in host.registry.optimizers.values()
                     if spec.rung is None and spec.parts & {"unet", "*"}}  # fmt: skip
    assert not {"model-offload", "attention-slicing", "vae-upcast", "toy-remember"} & names


def test_every_device_that_is_there_is_tried_in_each_of_its_types(host: Host, plan: Plan) -> None:
    found = {(way.device, way.dtype) for way in candidates(host, plan, Wanted(optimizers=("none",)))}
    able = [spec.name for spec in host.registry.devices.values() if "torch" in spec.kinds]
    reports = host.devices()
    assert found == {
        (name, dtype) for name in able if reports[name].available for dtype in reports[name].dtypes
    }
    assert ("cpu", "float32") in found


def test_a_device_that_is_named_and_not_there_cannot_be_tried(host: Host, plan: Plan) -> None:
    gone = next(name for name, report in host.devices().items() if not report.available)
    wanted = Wanted(devices=("cpu", gone), optimizers=("none",), dtypes=("float32",))
    ways = {way.device: way.why for way in candidates(host, plan, wanted)}
    assert ways["cpu"] is None
    assert ways[gone] == host.devices()[gone].detail


def test_optimizers_can_be_named_together(host: Host, plan: Plan) -> None:
    (way,) = candidates(
        host, plan, Wanted(("cpu",), ("float32",), optimizers=("unet=channels-last+unet=tome",))
    )
    assert way.optimizers == ("unet=channels-last", "unet=tome")
    assert way.approximate


def test_the_request_of_a_way_names_all_and_leaves_out_options_of_other_devices() -> None:
    asked = Request(
        task="txt2img", options={"cpu": {"threads": 1}, "openvino": {"streams": 2}, "freeu": {"b1": 1}}
    )
    found = Candidate("cpu", "float32", "unet=tome").request(asked, ["cpu", "openvino"])
    assert (found.place, found.dtype, found.optimizers) == ({"*": "cpu"}, "float32", ("unet=tome",))
    assert found.options.keys() == {"cpu", "freeu"}


def test_the_component_that_steps_call_is_the_largest(plan: Plan) -> None:
    assert largest_part(plan) == "unet"


MISTAKES = {
    "model": (["--model", "nosuch"], "unknown model 'nosuch'"),
    "task": (["nosuch"], "unknown task 'nosuch'"),
    "device": (["--device", "nosuch"], "unknown device 'nosuch'"),
    "of another kind": (["toy", "--device", "cpu"], "unknown device for toy components 'cpu'"),
    "nothing there": (["--device", "mps"], "nothing is available that runs torch components"),
    "dtype": (["--device", "cpu", "--dtype", "int3"], "unknown dtype 'int3'"),
    "optimizer": (["--device", "cpu", "--optimizer", "nosuch"], "unknown optimizer 'nosuch'"),
    "steps": (["--steps", "many"], "steps"),
    "runs": (["--runs", "0"], "runs"),
    "limit": (["--limit", "-1"], "limit"),
    "option": (["--option", "x"], "--option takes"),
    "input": (["inpaint", "--input", "mask"], "--input takes"),
    "no input": (["inpaint"], "needs the input"),
    "width": (["--width", "63"], "width 63 is no multiple"),
}


pytestmark = pytest.mark.usefixtures("one_host")


@pytest.fixture
def one_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line has the module's host, which takes seconds to make."""
    monkeypatch.setattr(cli, "_opened_host", lambda: nullcontext(host))


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line(
    arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_the_profile_is_shown_and_deleted(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "--show"]) == 0
    assert "there is no profile" in capsys.readouterr().out
    write(profile_path(), Profile(machine={**signature(), "cores": 999}))
    assert cli.run(["bench", "--show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["path"], shown["profile"]["machine"]["cores"]) == (str(profile), 999)
    assert shown["problem"].startswith("cores was 999")
    assert cli.run(["bench", "--forget"]) == 0
    assert (capsys.readouterr().out, profile.exists()) == (f"deleted {profile}\n", False)


def test_a_profile_that_cannot_be_read_can_be_deleted(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile.parent.mkdir()
    profile.write_text("{")
    assert cli.run(["bench", "--show"]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert cli.run(["bench", "--forget"]) == 0
    assert not profile.exists()
