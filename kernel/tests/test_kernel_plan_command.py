"""`latentry plan` says what a job would do, on this machine or on one that a file describes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latentry_cli as cli
from latentry import Host
from latentry.errors import InvalidRequest, Unavailable, UnknownName, UserError
from latentry_cli.hardware import described

Make = Callable[..., Any]
TOY = '[[device]]\nname = "far"\nkinds = ["toy"]\ndtypes = ["float64"]\n'


@pytest.fixture
def told(open_host: Make, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command prints."""

    def run(*arguments: str, host: Host | None = None) -> str:
        cli.build(host or open_host()).main(["plan", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture
def hardware(tmp_path: Path) -> Callable[..., str]:
    """Writes a description, and gives its path."""

    def write(text: str, name: str = "machine.toml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def test_a_plan_is_a_table_of_components_and_devices(told: Make) -> None:
    lines = told("toy", "ring").splitlines()
    assert lines[0].split() == ["COMPONENT", "DEVICE", "DTYPE", "WEIGHTS", "PEAK", "QUANTIZER", "OPTIMIZERS"]
    assert lines[1].split() == ["painter", "toy", "float64", "0.0", "MB", "0.0", "MB"]
    assert lines[4].split() == ["toy", "0.0", "MB", "?", "?"]
    assert lines[-2].startswith("stages: load, toy.encode_prompt")
    assert lines[-1] == "time: ?"


def test_the_tasks_own_flags_count(told: Make) -> None:
    found = json.loads(told("toy", "ring", "--json", "--seed", "5", "--optimizers", "painter=toy-remember"))
    assert found["applied"]["seeds"] == [5]
    (component,) = found["components"]
    assert component["optimizers"] == ["toy-remember"]
    assert component["kept"] == 2 * 8 * component["parameters"]


def test_nothing_is_run_or_written(told: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    told("toy", "ring")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "error"), [(["x"], UnknownName), (["toy", "x", "--steps", "0"], UserError)]
)
def test_a_mistake_is_told(told: Make, arguments: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        told(*arguments)


def test_a_file_describes_another_machine(told: Make, hardware: Make) -> None:
    file = hardware(TOY + 'total = "2 GB"\nfree = 1_500_000_000\n')
    found = json.loads(told("toy", "ring", "--json", "--hardware", file))
    assert found["components"][0]["device"] == "far"
    assert found["devices"][0]["total"] == 2 * 10**9
    assert found["devices"][0]["free"] == 1_500_000_000


def test_a_file_may_be_json(told: Make, hardware: Make) -> None:
    device = {"name": "far", "kinds": ["toy"], "dtypes": ["float64"], "total": "1 GiB"}
    file = hardware(json.dumps({"device": [device]}), "machine.json")
    found = json.loads(told("toy", "ring", "--json", "--hardware", file))
    assert found["devices"] == [{"device": "far", "peak": None, "total": 2**30, "free": 2**30}]


def test_of_described_devices_the_highest_rank_is_taken(told: Make, hardware: Make) -> None:
    file = hardware(TOY + "rank = 1\n" + TOY.replace("far", "near") + "rank = 2\n")
    assert "painter    near" in told("toy", "ring", "--hardware", file)


def test_a_device_of_this_machine_keeps_its_options(open_host: Make, hardware: Make) -> None:
    host = open_host()
    file = Path(hardware(TOY.replace("far", "toy")))
    assert described(host.registry, file).devices["toy"].options is host.registry.devices["toy"].options


def test_a_described_device_cannot_be_opened(open_host: Make, hardware: Make) -> None:
    spec = described(open_host().registry, Path(hardware(TOY))).devices["far"]
    with pytest.raises(Unavailable, match="only described"):
        spec.open(spec.options())


@pytest.mark.parametrize(
    ("written", "speed"), [("7", 7), ('"120 TFLOP/s"', 120 * 10**12), ('"1.5 gflop/s"', 1_500_000_000)]
)
def test_a_device_may_say_how_fast_it_is(open_host: Make, hardware: Make, written: str, speed: float) -> None:
    file = Path(hardware(f"{TOY}speed = {{ float64 = {written} }}\n"))
    assert described(open_host().registry, file).devices["far"].probe().speed == {"float64": speed}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[device]]",
        "[[device]\n",
        '[[device]]\nname = "a"\ntotal = "12 apples"\n',
        '[[device]]\nname = "a"\ntotal = -1\n',
        '[[device]]\nname = "a"\nvram = 3\n',
        '[[device]]\nname = "a"\ndtypes = []\n',
        '[[device]]\nname = "a"\nspeed = { float32 = "fast" }\n',
        '[[device]]\nname = "a"\nspeed = { float32 = 0 }\n',
        '[[device]]\nname = "a"\nspeed = { float16 = 1 }\n',
        TOY.replace("[[device]]", "[[machine]]"),
    ],
)
def test_a_wrong_description_is_one_line_that_names_the_file(told: Make, hardware: Make, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^machine\.toml"):
        told("toy", "ring", "--hardware", hardware(text))


def test_a_file_that_is_not_there_is_a_mistake(told: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"none\.toml cannot be read"):
        told("toy", "ring", "--hardware", str(tmp_path / "none.toml"))


def test_running_out_of_memory_is_one_line_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from latentry.errors import OutOfMemory

    def full(_host: Host) -> Any:
        raise OutOfMemory("gpu has not enough memory", fix="ask for less")

    monkeypatch.setattr(cli, "build", full)
    monkeypatch.setenv("LATENTRY_PLUGINS", "")
    assert cli.run(["toy", "ring"]) == 1
    assert capsys.readouterr().err == "latentry: gpu has not enough memory; ask for less\n"
