"""The command `latentry` in this process: exit codes, one line on stderr, what is written and what is not."""

import errno
import gc
import hashlib
import json
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

import latentry_cli as cli
import latentry_toy
from latentry import Host
from latentry.errors import InvalidInput
from latentry_sdk import JOB, DeviceReport, DeviceSpec, ModelEntry, StageSpec

Make = Callable[..., Any]


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str


class Shell:
    """Runs commands on hosts with the toy and the test's own plugins, in a folder of its own."""

    def __init__(self, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.plugins: list[object] = [latentry_toy]
        self.capture = capture
        monkeypatch.setattr(cli, "Host", lambda config: Host(self.plugins, config))

    def __call__(self, *arguments: str) -> Said:
        self.capture.readouterr()
        code = cli.run(arguments)
        return Said(code, *self.capture.readouterr())

    def refused(self, *arguments: str) -> str:
        """The one line of a command that ends with exit code 2, prints nothing else and changes no file."""
        before = listing()
        said = self(*arguments)
        assert (said.code, said.stdout) == (2, ""), said
        (line,) = said.stderr.splitlines()
        assert line.startswith("latentry: ")
        assert len(line) < 1000
        assert listing() == before
        return line


def listing() -> Sequence[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in Path().rglob("*"))


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    for name in [name for name in os.environ if name.startswith("LATENTRY_")]:
        monkeypatch.delenv(name)
    for name in ("models_dir", "data_dir", "cache_dir"):
        monkeypatch.setenv(f"LATENTRY_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("LATENTRY_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Shell(capfd, monkeypatch)


def loud(*_: object, **__: object) -> None:
    """Print by Python and by descriptor."""
    print("noise by Python")
    os.write(1, b"noise by descriptor\n")


def acting(action: Callable[[], object]) -> StageSpec:
    def run(state: Any) -> Any:
        action()
        return state

    return StageSpec("act", run)


def throw(error: BaseException) -> None:
    raise error


def test_a_picture_is_written_where_it_is_asked_for(shell: Shell) -> None:
    said = shell("toy", "a ring", "-o", "ring.pgm", "--seed", "7", "--steps", "3")
    assert (said.code, said.stdout, said.stderr) == (0, "ring.pgm  seed 7\n", "")
    assert Path("ring.pgm").read_bytes().startswith(b"P5")
    assert os.listdir() == ["ring.pgm"]


def test_json_stands_alone_on_stdout_and_tells_the_whole(shell: Shell) -> None:
    said = shell("toy", "ring", "-o", "a.pgm", "--seed", "7", "--batch", "2", "--json")
    result = json.loads(said.stdout)
    assert (said.code, said.stderr) == (0, "")
    assert [(one["path"], one["seed"]) for one in result["artifacts"]] == [("a-1.pgm", 7), ("a-2.pgm", 8)]
    for one in result["artifacts"]:
        assert one["sha256"] == hashlib.sha256(Path(one["path"]).read_bytes()).hexdigest()
        assert one["media_type"] == "image/x-portable-graymap"
    assert result["applied"]["seeds"] == [7, 8]
    assert result["warnings"] == []
    assert set(result["timings"]) >= {"load", "sample", "toy.decode"}


def test_without_an_output_the_file_is_named_after_task_seed_and_format(shell: Shell) -> None:
    assert shell("toy", "ring", "--seed", "7").stdout == "toy-7.pgm  seed 7\n"
    assert os.listdir() == ["toy-7.pgm"]


def test_a_seed_that_is_left_out_is_drawn_and_reported(shell: Shell) -> None:
    said = shell("toy", "ring", "-o", "a.pgm")
    seed = said.stdout.split()[-1]
    shell("toy", "ring", "-o", "b.pgm", "--seed", seed)
    assert Path("a.pgm").read_bytes() == Path("b.pgm").read_bytes()


def test_a_batch_numbers_its_files_and_image_i_is_the_single_one(shell: Shell) -> None:
    shell("toy", "ring", "-o", "a.pgm", "--seed", "7", "--batch", "2")
    shell("toy", "ring", "-o", "alone.pgm", "--seed", "8")
    assert sorted(os.listdir()) == ["a-1.pgm", "a-2.pgm", "alone.pgm"]
    assert Path("a-2.pgm").read_bytes() == Path("alone.pgm").read_bytes()


def test_a_file_that_exists_is_not_overwritten_unless_forced(shell: Shell) -> None:
    Path("a.pgm").write_text("mine")
    assert "a.pgm exists; choose another name, or pass --force" in shell.refused("toy", "ring", "-o", "a.pgm")
    assert shell("toy", "ring", "-o", "a.pgm", "--force").code == 0
    assert Path("a.pgm").read_bytes().startswith(b"P5")


def test_a_numbered_file_that_exists_is_found_before_the_work_starts(shell: Shell) -> None:
    Path("a-2.pgm").write_text("mine")
    assert "a-2.pgm exists" in shell.refused("toy", "no such pattern", "-o", "a.pgm", "--batch", "3")


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none/a.pgm", "there is no folder 'none'"),
        (".", "exists"),
        ("a" * 300 + ".pgm", "is no path to write to"),
        ("a\0b.pgm", "is no path to write to"),
        ("a.png", "unknown format 'png'; known: pgm"),
        ("a.tar.gz", "unknown format 'gz'; known: pgm"),
    ],
    ids=["folder", "a folder", "long", "NUL", "format", "format of two parts"],
)
def test_an_output_that_cannot_be_is_refused_before_the_work_starts(
    shell: Shell, output: str, message: str, force: tuple[str, ...]
) -> None:
    assert message in shell.refused("toy", "no such pattern", "-o", output, *force)


def test_an_output_without_an_ending_gets_the_tasks_first_format(shell: Shell) -> None:
    assert shell("toy", "ring", "-o", "plain").code == 0
    assert Path("plain").read_bytes().startswith(b"P5")


def test_on_a_full_disk_nothing_is_left(shell: Shell) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))
    try:
        code = cli.run(["toy", "ring", "-o", "a.pgm"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert os.listdir() == []


def test_a_disk_that_fills_up_within_a_batch_leaves_whole_files_only(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("latentry_sdk.files.os.fsync", fsync)
    said = shell("toy", "ring", "-o", "a.pgm", "--batch", "3")
    assert said.code == 2
    assert "a-2.pgm' cannot be written: No space left on device" in said.stderr
    assert [(path.name, path.stat().st_size) for path in Path().iterdir()] == [("a-1.pgm", 75)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--sampler", "eular"), "known: toy_ancestral, toy_euler"),
        (("--scheduler", "karas"), "known: toy_even"),
        (("--model", "../x"), "known: toy"),
        (("--place", "painter"), "--place takes NAME=VALUE, not 'painter'"),
        (("--place", "painter=gpu"), "known: toy"),
        (("--quantize", "painter=toy-round:int3"), "known: int1, int8"),
        (("--optimizers", "x"), "known: toy-remember"),
        (("--contrast", "5"), "less than or equal to 1"),
        (("-O", "toy.colour=red"), "unknown option 'colour'; known: contrast"),
        (("-O", "nobody.x=1"), "unknown owner of options 'nobody'; known: toy"),
        (("-O", "contrast=1"), "takes OWNER.NAME=VALUE"),
        (("-O", "toy.contrast"), "--option takes NAME=VALUE"),
        (("--stepz", "3"), "--stepz"),
        (("--steps",), "--steps"),
        (("--steps", "0"), "steps: "),
        (("--steps", "1e3"), "steps: "),
        (("--seed=-2",), "seed: "),
        (("--guidance", "nan"), "guidance: "),
        (("--width", "7"), "width: "),
        (("--batch", "9" * 5000), "batch: "),
        (("extra",), "extra"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(shell: Shell, flags: tuple[str, ...], message: str) -> None:
    assert message in shell.refused("toy", "ring", "-o", "a.pgm", *flags)


def test_an_unknown_command_lists_the_known_ones(shell: Shell) -> None:
    line = shell.refused("toyy", "ring")
    for name in ("toy", "plugins", "doctor", "toy-show"):
        assert name in line


@pytest.mark.parametrize(
    "prompt", ["\udcff", "x" * 1_000_000, "[" * 100_000, "horse\r\nof\0course"], ids=ascii
)
def test_a_hostile_prompt_is_refused_in_one_short_line(shell: Shell, prompt: str) -> None:
    shell.refused("toy", prompt, "-o", "a.pgm")


def test_a_mistake_found_in_a_stage_is_one_line_too(shell: Shell, staged: Make) -> None:
    shell.plugins.append(staged(acting(lambda: throw(InvalidInput("two\nlines", fix="send one")))))
    assert shell.refused("staged", "-o", "a.x") == "latentry: two lines; send one"


def test_a_bug_of_a_plugin_is_exit_code_1_with_its_traceback(shell: Shell, staged: Make) -> None:
    shell.plugins.append(staged(acting(lambda: throw(ZeroDivisionError("by nothing")))))
    said = shell("staged", "-o", "a.x", "--json")
    assert (said.code, said.stdout) == (1, "")
    assert "Traceback" in said.stderr
    assert "by nothing" in said.stderr
    assert "stage 'act' failed" in said.stderr.splitlines()[-1]
    assert os.listdir() == []


def test_a_job_that_is_interrupted_is_exit_code_130(shell: Shell, staged: Make) -> None:
    shell.plugins.append(staged(acting(lambda: throw(KeyboardInterrupt()))))
    said = shell("staged", "-o", "a.x")
    assert (said.code, said.stdout, said.stderr.strip()) == (130, "", "latentry: stopped")
    assert os.listdir() == []


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("toy", "--help"), ("toy", "-h"), ()], ids=str)
def test_help_lists_commands_and_flags(shell: Shell, arguments: tuple[str, ...]) -> None:
    said = shell(*arguments)
    text = said.stdout + said.stderr
    assert said.code == (0 if arguments else said.code)
    for word in ("--contrast", "--sampler", "--json") if "toy" in arguments else ("toy", "plugins", "doctor"):
        assert word in text


LISTINGS = ("plugins", "devices", "models", "samplers", "schedulers", "tasks")


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_is_a_table_or_a_list_in_json(shell: Shell, name: str) -> None:
    rows = json.loads(shell(name, "--json").stdout)
    table = shell(name)
    assert table.code == 0
    assert rows
    assert all(row["name"] in table.stdout for row in rows)


def test_plugins_in_json_say_what_became_of_each_and_what_it_provides(shell: Shell, plugin: Make) -> None:
    shell.plugins.append(plugin("bad", register_samplers=lambda: 3))
    rows = {row["name"]: row for row in json.loads(shell("plugins", "--json").stdout)}
    assert set(rows) == {"latentry_toy", "bad"}
    assert {"name", "distribution", "version", "status", "reason", "provides"} <= set(rows["bad"])
    assert rows["bad"]["status"] == "failed"
    assert rows["latentry_toy"]["provides"]["register_samplers"] == ["toy_euler", "toy_ancestral"]


def test_doctor_is_content_with_the_toy_and_says_what_is_wrong_otherwise(shell: Shell, plugin: Make) -> None:
    assert {check["ok"] for check in json.loads(shell("doctor", "--json").stdout)["checks"]} <= {"yes", "-"}
    assert shell("doctor").code == 0
    shell.plugins.append(plugin("bad", register_samplers=lambda: throw(ImportError("no torch"))))
    said = shell("doctor")
    assert said.code == 1
    assert "no torch" in said.stdout


@pytest.mark.parametrize(
    "command", [*((name,) for name in LISTINGS), ("doctor",), ("toy", "ring", "-o", "a.pgm")], ids=" ".join
)
def test_what_plugins_print_never_reaches_the_stdout_of_json(
    shell: Shell, plugin: Make, command: tuple[str, ...]
) -> None:
    def probe() -> DeviceReport:
        loud()
        return DeviceReport(True)

    def list_models() -> list[ModelEntry]:
        loud()
        return []

    def devices() -> list[DeviceSpec]:
        loud()
        return [DeviceSpec("loud", probe, lambda options: None)]  # type: ignore[arg-type, return-value]

    noisy = plugin("noisy", register_devices=devices, list_models=list_models, on_event=lambda event: loud())
    shell.plugins.append(noisy)
    said = shell(*command, "--json")
    assert said.code == 0
    assert json.loads(said.stdout)
    assert "noise by descriptor" in said.stderr


def test_what_a_device_prints_when_it_is_closed_never_reaches_the_stdout_of_json(
    shell: Shell, spy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(spy), "note", lambda self, what: loud())
    shell.plugins.append(spy.plugin())
    said = shell("toy", "ring", "-o", "a.pgm", "--place", "*=spy", "--json")
    assert said.code == 0
    assert json.loads(said.stdout)["applied"]["placements"] == {"painter": "spy"}


def test_warnings_go_to_stderr(shell: Shell, staged: Make) -> None:
    def run(state: Any) -> Any:
        state[JOB].warn("it is dim")
        return state

    shell.plugins.append(staged(StageSpec("dim", run)))
    said = shell("staged", "-o", "a.x", "--json")
    assert said.stderr == "latentry: it is dim\n"
    assert json.loads(said.stdout)["warnings"] == ["it is dim"]


def test_a_mistake_in_the_configuration_is_one_line(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("store = [")
    assert "config.toml cannot be read" in shell.refused("plugins")


def test_a_command_of_a_plugin_gets_the_host(shell: Shell, plugin: Make) -> None:
    @click.command()
    @click.pass_obj
    def count(host: Host) -> None:
        click.echo(len(host.registry.tasks))

    shell.plugins.append(plugin("counting", register_commands=lambda cli: cli.add_command(count)))
    assert shell("count").stdout == "1\n"


def test_a_flag_is_made_of_each_declared_option_with_its_default_and_description(shell: Shell) -> None:
    text = " ".join(shell("toy", "--help").stdout.split())
    assert "--contrast NUMBER How far from grey the pattern is [default: 1.0]" in text
    assert "--steps INTEGER Sampling steps [default: 20]" in text


def test_options_reach_the_job_by_flag_and_by_owner(shell: Shell) -> None:
    for flags in (("--contrast", "0.5"), ("-O", "toy.contrast=0.5")):
        said = shell("toy", "ring", "-o", "a.pgm", "--force", "--json", *flags)
        assert json.loads(said.stdout)["applied"]["options"]["toy"] == {"contrast": 0.5}


def test_the_end_of_a_command_leaves_pythons_collector_nothing_to_look_through(monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["latentry", "--help"])
    frozen = gc.get_freeze_count()
    try:
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 0
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
