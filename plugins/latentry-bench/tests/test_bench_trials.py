"""Ways that hang, crash or fail do no harm to the next, each in a real process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from latentry_bench.process import Outcome, run_trial

PLUGIN = '''
"""Devices for the toy's components that behave badly, each in its own way."""

import os
import time
from pathlib import Path

from latentry_sdk import DeviceReport, DeviceSpec, OptimizerSpec, Unavailable, hookimpl

KINDS = frozenset({"toy"})


class Placed:
    home, dtype = "toy", "float64"

    def __init__(self, module):
        self.module_of_toy = module

    def __call__(self, *arrays):
        return self.module_of_toy(*arrays)

    def close(self):
        pass


class Bad:
    def __init__(self, way):
        self.way = way

    def place(self, component, dtype):
        Path(os.environ["BAD_PID"]).write_text(str(os.getpid()))
        if self.way == "hangs":
            os.system("sleep 600 & echo $! > " + os.environ["BAD_PID"] + ".child")
            time.sleep(600)
        if self.way == "crashes":
            os._exit(7)
        if self.way == "aborts":
            os.abort()
        if self.way == "refuses":
            raise Unavailable("there is no room")
        if self.way == "raises":
            raise ZeroDivisionError("by a bug")
        if self.way == "rested":
            try:
                Path(os.environ["BAD_PID"] + ".tired").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                return Placed(lambda *arrays: time.sleep(0.1) or component.module(*arrays))
        if self.way == "prints":
            print("this goes to nobody")
            os.system("echo nor does this")
        return Placed(component.module)

    def activate(self):
        import contextlib
        return contextlib.nullcontext()

    def memory(self):
        return None

    def close(self):
        pass


def apply(component, device):
    if isinstance(device, Bad):
        raise Unavailable("only the toy takes this")
    return component, lambda: None


@hookimpl
def register_devices():
    def probe():
        return DeviceReport(True, "bad", dtypes=("float64",), rank=-1)
    ways = ("hangs", "crashes", "aborts", "refuses", "raises", "prints", "rested")
    return [DeviceSpec(way, probe, lambda _options, way=way: Bad(way), KINDS) for way in ways]


@hookimpl
def register_optimizers():
    return [OptimizerSpec("choosy", frozenset({"*"}), lambda footprint, work: footprint, apply)]
'''


@dataclass(frozen=True)
class Place:
    """An environment with the bad plugin beside the toy and the bench, and nothing else loaded."""

    folder: Path

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")},
            "PYTHONPATH": str(self.folder / "bad"),
            "LATENTRY_PLUGINS": "toy,bench,bad_ways",
            "LATENTRY_CONFIG": str(self.folder / "none.toml"),
            "BAD_PID": str(self.folder / "pid"),
        }

    def bench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`latentry bench toy`, as from a shell."""
        command = [sys.executable, "-m", "latentry", "bench", "toy", "--prompt", "cross", "--steps", "2"]
        return subprocess.run(
            [*command, "--runs", "2", *arguments], env=self.variables, capture_output=True, text=True,
            timeout=300, cwd=self.folder,
        )  # fmt: skip

    def rows(self, *arguments: str) -> Mapping[str, Any]:
        """Its rows by device, without optimizers; the exit code as `code`."""
        done = self.bench("--json", "--optimizer", "none", *arguments)
        found = json.loads(done.stdout)
        return {"code": done.returncode, "all": found, **{row["device"]: row for row in found["rows"]}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "bad"
    about = folder / "bad_ways-0.1.dist-info"
    about.mkdir(parents=True)
    (folder / "bad_ways.py").write_text(PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-ways\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[latentry]\nbad_ways = bad_ways\n")
    return Place(tmp_path)


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def within(seconds: float, condition: Callable[[], object]) -> bool:
    end = monotonic() + seconds
    while not condition() and monotonic() < end:
        sleep(0.05)
    return bool(condition())


def test_a_hanging_way_is_ended_at_its_limit_with_all_that_it_started(place: Place) -> None:
    done = place.bench("--json", "--device", "hangs", "--limit", "15")
    plain, *others = json.loads(done.stdout)["rows"]
    assert (done.returncode, plain["status"], plain["why"]) == (1, "timeout", "took longer than 15 s")
    assert {(row["status"], row["why"]) for row in others} == {
        ("failed", "not tried, as hangs float64 took longer than 15 s")
    }
    assert not is_running(int((place.folder / "pid").read_text()))
    assert not is_running(int((place.folder / "pid.child").read_text()))


def test_what_crashes_fails_or_prints_is_a_row_and_the_others_are_measured(place: Place) -> None:
    ways = ("crashes", "aborts", "refuses", "raises", "prints", "toy")
    found = place.rows(*(word for way in ways for word in ("--device", way)))
    assert found["code"] == 0
    told = {way: (found[way]["status"], found[way]["why"]) for way in ways}
    assert told["crashes"] == ("failed", "ended with exit code 7")
    assert told["aborts"] == ("failed", "was ended by SIGABRT")
    assert told["refuses"] == ("failed", "there is no room")
    assert told["raises"][0] == "failed"
    assert "ZeroDivisionError: by a bug" in told["raises"][1]
    assert told["prints"] == told["toy"] == ("measured", None)
    assert found["all"]["winner"] is not None


NONE = type(None)
ROW = {
    "device": str, "dtype": str, "optimizers": list, "approximate": bool, "status": str, "why": (str, NONE),
    "first": float, "picture": dict, "step": dict, "memory": dict, "difference": (dict, NONE),
    "work": (dict, NONE), "peak": (dict, NONE), "bound": (float, NONE), "share": (float, NONE),
    "applied": dict,
}  # fmt: skip
TOP = {
    "schema": int, "machine": dict, "job": dict, "work": dict, "uncounted": dict, "reference": (str, NONE),
    "rows": list, "winner": int, "saved": str,
}  # fmt: skip


def test_the_json_has_its_schema_and_the_fastest_is_saved(place: Place) -> None:
    done = place.bench("--json", "--device", "toy", "--device", "prints", "--save")
    found = json.loads(done.stdout)
    assert {name: isinstance(found[name], kind) for name, kind in TOP.items()} == dict.fromkeys(found, True)
    assert found["schema"] == 1
    measured = [row for row in found["rows"] if row["status"] == "measured"]
    assert [(row["device"], row["optimizers"]) for row in measured] == [
        ("toy", []), ("toy", ["painter=choosy"]), ("toy", ["painter=toy-remember"]),
        ("prints", []), ("prints", ["painter=toy-remember"]),
    ]  # fmt: skip
    for row in measured:
        assert {name: isinstance(row[name], kind) for name, kind in ROW.items()} == dict.fromkeys(row, True)
        times = row["picture"]
        assert 0 < times["least"] <= times["median"] <= times["most"]
        runs = (2,) if row["optimizers"] else (2, 4)  # 4 where its optimizers seemed to win
        assert times["count"] in runs
        assert row["step"]["count"] == 2 * times["count"]
        assert row["memory"]["of"] == "process"
        assert row["memory"]["bytes"] > 10**7
    (unfit,) = (row for row in found["rows"] if row["status"] == "unfit")
    assert (unfit["device"], unfit["optimizers"]) == ("prints", ["painter=choosy"])
    assert unfit["why"] == "only the toy takes this"
    won, kept = found["rows"][found["winner"]], json.loads(Path(found["saved"]).read_text())
    assert Path(found["saved"]) == place.folder / "machine.json"
    (entry,) = kept["entries"]
    assert (entry["device"], entry["picture"]) == (won["device"], won["picture"]["median"])
    assert entry["optimizers"] == won["optimizers"]
    assert "toy_ancestral" in entry["owners"]
    assert kept["machine"] == found["machine"]


def test_optimizers_do_not_win_by_the_hour_at_which_they_were_tried(place: Place) -> None:
    """The first process on this device is slow, whatever it does; later ones are not."""
    done = place.bench(
        "--json", "--device", "rested", "--optimizer", "none", "--optimizer", "painter=toy-remember"
    )
    found = json.loads(done.stdout)
    plain, other = found["rows"]
    assert "once more rested float64" in done.stderr
    assert (plain["picture"]["count"], other["picture"]["count"]) == (4, 2)
    assert plain["picture"]["least"] < 0.1 < plain["picture"]["most"]
    assert found["winner"] in ((0,) if plain["picture"]["least"] <= other["picture"]["most"] else (1,))


def test_a_trial_ends_with_who_asked(place: Place) -> None:
    """The process that started it is killed, as no handler can catch it, while the trial hangs."""
    done = subprocess.Popen(
        [sys.executable, "-m", "latentry", "bench", "toy", "--device", "hangs"],
        env=place.variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    child = place.folder / "pid.child"
    try:
        assert within(60, lambda: child.is_file() and child.read_text().strip())
    finally:
        done.kill()
        done.wait()
    for path in (child, child.with_name("pid")):
        pid = int(path.read_text())
        assert within(20, lambda pid=pid: not is_running(pid))  # type: ignore[misc]


def test_a_task_that_is_none_is_a_problem_and_no_exception() -> None:
    outcome = run_trial({}, 60)
    assert outcome.find("measured") is None
    assert "KeyError" in str(outcome.problem)


def test_an_outcome_finds_messages_by_their_kind() -> None:
    outcome = Outcome([{"kind": "a", "x": 1}, {"kind": "b"}, {"kind": "a", "x": 2}])
    assert (outcome.find("a"), outcome.find("c")) == ({"kind": "a", "x": 1}, None)
    assert len(outcome.all("a")) == 2
