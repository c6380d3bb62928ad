"""A command for each task: `latentry TASK "PROMPT" --flags`."""

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from latentry.errors import InvalidRequest, shown
from latentry.host import Host
from latentry.request import Request, Result, parsed
from latentry.specs import StageSpec, TaskSpec
from latentry_cli.console import progress_bar, quiet_stdout
from latentry_cli.flags import flag, is_mapping
from latentry_sdk.command_lines import owned, pairs, show_json
from latentry_sdk.files import OutputExists, write_whole

CORE = [
    name for name in Request.model_fields if name not in ("task", "prompt", "inputs", "options", "format")
]


def task_command(host: Host, task: TaskSpec) -> click.Command:
    """The command of one task, its flags made from the request's fields and the declared options."""
    owners = _owners(host, task)

    def callback(**values: Any) -> None:
        _run(host, task, owners, values)

    parameters = _parameters(host, task, owners)
    return click.Command(task.name, params=parameters, callback=callback, help=task.description)


def request_maker(host: Host, task: TaskSpec) -> Callable[[Mapping[str, Any]], Request]:
    """What makes a task's request of the values of its command's flags."""
    owners = _owners(host, task)
    return lambda values: _request(task, owners, values, Path(values["output"]) if values["output"] else None)


def _parameters(host: Host, task: TaskSpec, owners: Mapping[tuple[str, str], str]) -> list[click.Parameter]:

    parameters: list[click.Parameter] = [click.Argument(["prompt"], default="")]
    parameters += [
        click.Option([f"--{spec.name}", f"input_{spec.name}"], metavar="PATH", help=spec.description)
        for spec in task.inputs
    ]
    parameters += [flag(name, Request.model_fields[name]) for name in CORE]
    for (owner, name), parameter in owners.items():
        parameters.append(flag(name, _field(host, task, owner, name), prefix=parameter.removesuffix(name)))
    parameters += [
        click.Option(
            ["--option", "-O", "more"], multiple=True, metavar="OWNER.NAME=VALUE", help="Any other option"
        ),
        click.Option(["--output", "-o", "output"], metavar="PATH", help="File to write; a batch is numbered"),
        click.Option(["--force"], is_flag=True, help="Overwrite files that exist"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as JSON"),
    ]
    return parameters


def _owners(host: Host, task: TaskSpec) -> Mapping[tuple[str, str], str]:
    """(owner, option) to the flag's parameter name: the plain name, or with its owner where that is taken."""
    taken = {
        *CORE,
        "prompt",
        "output",
        "force",
        "more",
        "as_json",
        *(f"input_{spec.name}" for spec in task.inputs),
    }
    names = dict.fromkeys(name.removesuffix("?") for name in task.stages)
    stages = [host.registry.stages[name] for name in names if name in host.registry.stages]
    specs: list[TaskSpec | StageSpec] = [task, *stages]
    found: dict[tuple[str, str], str] = {}
    for spec in specs:
        for name in spec.options.model_fields:
            parameter = name if name not in taken else f"{spec.name.replace('.', '_')}_{name}"
            taken.add(parameter)
            found[spec.name, name] = parameter
    return found


def _field(host: Host, task: TaskSpec, owner: str, name: str) -> Any:
    """The declaration of an option of the task itself or of one of its stages."""
    spec = task if owner == task.name else host.registry.stages[owner]
    return spec.options.model_fields[name]


def _run(
    host: Host, task: TaskSpec, owners: Mapping[tuple[str, str], str], values: Mapping[str, Any]
) -> None:
    output = Path(values["output"]) if values["output"] else None
    request = _request(task, owners, values, output)
    count = request.batch
    if output:
        _check_free(_paths(output, count), force=values["force"])
    with quiet_stdout(), progress_bar() as listen, _stoppable() as cancel:
        result = host.run(request, on_event=listen, cancel=cancel)
    output = output or Path(f"{task.name}-{result.artifacts[0].seed}.{result.applied['format']}")
    paths = _paths(output, len(result.artifacts))
    for path, artifact in zip(paths, result.artifacts, strict=True):
        write_whole(path, artifact.data, overwrite=values["force"])
    _show(result, paths, as_json=values["as_json"])


def _request(
    task: TaskSpec, owners: Mapping[tuple[str, str], str], values: Mapping[str, Any], output: Path | None
) -> Request:
    options: dict[str, dict[str, Any]] = {}
    for (owner, name), parameter in owners.items():
        if values[parameter] not in (None, ()):
            options.setdefault(owner, {})[name] = values[parameter]
    for owner, named in owned(values["more"]).items():
        options.setdefault(owner, {}).update(named)
    fields = {name: _value(name, values[name]) for name in CORE if values[name] not in (None, ())}
    inputs = {spec.name: values[f"input_{spec.name}"] for spec in task.inputs}
    given = {name: path for name, path in inputs.items() if path is not None}
    form = output.suffix.lstrip(".").lower() if output else ""
    fields |= {"task": task.name, "prompt": values["prompt"], "inputs": given, "options": options}
    return parsed(Request, {**fields, **({"format": form} if form else {})})


def _value(name: str, value: Any) -> Any:
    return pairs(value, name=name) if is_mapping(Request.model_fields[name]) else value


def _paths(output: Path, count: int) -> list[Path]:
    if count == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{index + 1}{output.suffix}") for index in range(count)]


def _check_free(paths: list[Path], *, force: bool) -> None:
    for path in paths:
        try:
            os.stat(path.parent / path.name)
        except (FileNotFoundError, NotADirectoryError):
            if not path.parent.is_dir():
                raise InvalidRequest(f"there is no folder {shown(path.parent, 200)}") from None
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise InvalidRequest(f"{shown(path)} is no path to write to: {reason}") from exc
        else:
            if path.is_dir() or not force:
                raise OutputExists(f"{_printable(path)} exists", fix="choose another name, or pass --force")


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """The first Ctrl-C asks the job to stop; the second stops the program."""
    cancel = threading.Event()

    def stop(_signal: int, _frame: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def _printable(path: Path) -> str:
    """The path as text that any terminal and JSON take, even where its name is no text."""
    return os.fsencode(path).decode(errors="replace")


def _show(result: Result, paths: list[Path], *, as_json: bool) -> None:
    for warning in result.warnings:
        click.echo(f"latentry: {warning}", err=True)
    if not as_json:
        for path, artifact in zip(paths, result.artifacts, strict=True):
            click.echo(f"{_printable(path)}  seed {artifact.seed}")
        return
    files = [
        {
            "path": _printable(path),
            "seed": artifact.seed,
            "media_type": artifact.media_type,
            "sha256": hashlib.sha256(artifact.data).hexdigest(),
        }
        for path, artifact in zip(paths, result.artifacts, strict=True)
    ]
    show_json(
        {
            "artifacts": files,
            "applied": result.applied,
            "timings": result.timings,
            "warnings": list(result.warnings),
        }
    )
