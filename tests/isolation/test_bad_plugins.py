"""Bad plugins, installed for real: the host starts, says which and why, and the others work."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.isolation.conftest import Environment

BOUND = 60.0
"""Seconds for a command with two plugins that sleep for a minute each; it needs about five."""

BROKEN = {
    "bad-command-thief": ("failed", "doctor.*taken"),
    "bad-exits": ("failed", "SystemExit: 3"),
    "bad-hook-raises": ("failed", "RuntimeError: the weather is bad"),
    "bad-hook-sleeps": ("failed", "more than 2 s"),
    "bad-import-error": ("failed", "ModuleNotFoundError.*a_library_nobody_has"),
    "bad-import-sleeps": ("failed", "more than 2 s"),
    "bad-incompatible": ("incompatible", "needs latentry>=2, found 0"),
    "bad-interrupts": ("failed", "KeyboardInterrupt"),
    "bad-monkeypatch": ("failed", "changed .*latentry.host.Host.plan"),
    "bad-no-hooks": ("failed", "no hook"),
    "bad-no-object": ("failed", "AttributeError.*plugin"),
    "bad-non-spec": ("failed", "register_samplers.*'euler'.*SamplerSpec"),
    "bad-second-toy": ("failed", "'toy'.*'latentry-toy'.*'bad-second-toy'"),
    "bad-syntax-error": ("failed", "SyntaxError"),
    "bad-thief": ("failed", "'euler'.*'samplers'.*'thief'"),
    "bad-unknown-hook": ("failed", "register_smaplers.*register_samplers"),
    "bad-wrong-signature": ("failed", "colour"),
}
NOISY = {"bad-prints", "bad-listener-raises", "bad-leaver"}
"""Bad manners or good ones, but they work."""

Rows = dict[str, Any]


@pytest.fixture(scope="module")
def listed(spoiled: "Environment") -> Rows:
    """`latentry plugins --json` by distribution."""
    done = spoiled.latentry("plugins", "--json")
    assert done.code == 0, done.stderr
    return {row["distribution"]: row for row in json.loads(done.stdout)}


def test_every_bad_plugin_of_the_folder_is_expected_here() -> None:
    folders = {f"bad-{path.name.replace('_', '-')}" for path in Path(__file__).parent.glob("bad_plugins/*")}
    assert folders == BROKEN.keys() | NOISY


@pytest.mark.parametrize("distribution", BROKEN)
def test_a_broken_plugin_has_its_status_and_reason(listed: Rows, distribution: str) -> None:
    status, reason = BROKEN[distribution]
    row = listed[distribution]
    assert row["status"] == status
    assert re.search(reason, row["reason"])
    assert "\n" not in row["reason"]
    assert not any(row["provides"].values())


@pytest.mark.parametrize("distribution", BROKEN)
def test_a_broken_plugin_comes_with_a_remedy(listed: Rows, distribution: str) -> None:
    assert listed[distribution]["fix"]


def test_all_other_plugins_are_active(listed: Rows) -> None:
    others = {name: row["status"] for name, row in listed.items() if name not in BROKEN}
    assert set(others.values()) == {"active"}
    here = {path.parent.name for path in Path(__file__).parents[2].glob("plugins/*/pyproject.toml")}
    assert others.keys() >= here | NOISY


def test_a_row_says_what_issue_two_asks_for(listed: Rows) -> None:
    row = listed["bad-prints"]
    assert {"name", "distribution", "version", "status", "reason", "provides"} <= row.keys()
    assert (row["name"], row["version"]) == ("prints", "0.1.0")
    assert row["provides"]["register_samplers"] == ["stand_still"]


def test_a_plugin_is_taken_whole_or_not_at_all(spoiled: "Environment") -> None:
    names = {row["name"] for row in json.loads(spoiled.latentry("samplers", "--json").stdout)}
    assert {"euler", "stand_still"} <= names
    assert not {"thiefs_own", "second_toys_own"} & names


def test_a_printing_plugin_leaves_stdout_to_the_json(spoiled: "Environment") -> None:
    done = spoiled.latentry("plugins", "--json")
    json.loads(done.stdout)
    assert done.stderr.count("NOISE") == 4


def test_sleeping_plugins_cost_their_time_and_no_more(spoiled: "Environment") -> None:
    done = spoiled.latentry("tasks", "--json")
    assert done.code == 0
    assert done.seconds < BOUND


def test_an_incompatible_plugin_is_not_even_imported(spoiled: "Environment") -> None:
    assert "the incompatible plugin was imported" not in spoiled.latentry("--help").stderr


def test_help_lists_the_tasks_and_the_host_s_own_commands(spoiled: "Environment") -> None:
    done = spoiled.latentry("--help")
    assert done.code == 0
    assert all(f"\n  {name} " in done.stdout for name in ("toy", "plugins", "doctor"))


def test_the_doctor_names_every_broken_plugin_and_exits_1(spoiled: "Environment", listed: Rows) -> None:
    done = spoiled.latentry("doctor", "--json")
    assert done.code == 1
    wrong = {check["what"] for check in json.loads(done.stdout)["checks"] if check["ok"] == "no"}
    assert {f"plugin {listed[distribution]['name']}" for distribution in BROKEN} <= wrong
    assert "requirements of bad-incompatible" in wrong


def test_a_job_runs_beside_bad_plugins(spoiled: "Environment", tmp_path: Path) -> None:
    output = tmp_path / "cross.pgm"
    done = spoiled.latentry("toy", "cross", "-o", str(output), "--seed", "1", "--json")
    assert done.code == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    assert Path(artifact["path"]) == output
    assert output.read_bytes()
    assert "NOISE by descriptor during a job" in done.stderr


def test_a_patched_kernel_is_mended_before_the_host_goes_on(spoiled: "Environment") -> None:
    program = (
        "import latentry.host, latentry.planner\n"
        "plan, read = latentry.host.Host.plan, latentry.planner.read_header\n"
        "host = latentry.host.Host()\n"
        "assert [row.status for row in host.records if row.name == 'monkeypatch'] == ['failed']\n"
        "assert latentry.host.Host.plan is plan and latentry.planner.read_header is read\n"
    )
    done = spoiled.run("-c", program, variables={"LATENTRY_HOOK_SECONDS": "2"})
    assert done.code == 0, done.stderr


def test_no_plugins_at_all_when_the_list_is_empty(spoiled: "Environment") -> None:
    done = spoiled.latentry("plugins", "--json", LATENTRY_PLUGINS="")
    assert done.code == 0, done.stderr
    assert {row["status"] for row in json.loads(done.stdout)} <= {"disabled"}
    assert "NOISE" not in done.stderr
    assert json.loads(spoiled.latentry("tasks", "--json", LATENTRY_PLUGINS="").stdout) == []


def test_only_the_plugins_that_are_listed_load(spoiled: "Environment") -> None:
    done = spoiled.latentry("plugins", "--json", LATENTRY_PLUGINS="samplers, prints, exits")
    status = {row["name"]: row["status"] for row in json.loads(done.stdout) if row["status"] != "disabled"}
    assert status == {"samplers": "active", "prints": "active", "exits": "failed"}


def test_a_disabled_plugin_is_not_imported(spoiled: "Environment") -> None:
    done = spoiled.latentry("plugins", "--json", LATENTRY_DISABLED="prints")
    status = {row["name"]: row["status"] for row in json.loads(done.stdout)}
    assert status["prints"] == "disabled"
    assert "NOISE" not in done.stderr


def test_a_plugin_that_pip_uninstalls_is_gone(spoiled: "Environment", listed: Rows) -> None:
    assert listed["bad-leaver"]["status"] == "active"
    done = spoiled.run("-m", "pip", "uninstall", "--yes", "--disable-pip-version-check", "bad-leaver")
    assert done.code == 0, done.stderr
    done = spoiled.latentry("plugins", "--json", LATENTRY_PLUGINS="leaver")
    assert "bad-leaver" not in {row["distribution"] for row in json.loads(done.stdout)}
    done = spoiled.latentry("samplers", "--json", LATENTRY_PLUGINS="leaver")
    assert json.loads(done.stdout) == []
