"""Each hook does what it is for, on a host with plugins of the test's own."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import click
import pytest

import latentry_cli as cli
import latentry_sdk
import latentry_toy
from latentry import Config, Host, Request, hooks
from latentry.errors import UnknownName
from latentry.registry import COLLECTED
from latentry_sdk import (
    Artifact,
    Component,
    DeviceReport,
    DeviceSpec,
    ExecutorSpec,
    ModelEntry,
    ModelFamily,
    OptimizerSpec,
    Placement,
    QuantizerSpec,
    SamplerSpec,
    SchedulerSpec,
    StageSpec,
    State,
    StoreSpec,
    SurfaceSpec,
    TaskSpec,
    hookimpl,
)  # fmt: skip
from latentry_toy import keeping, painter
from latentry_toy.grid import Grid

DOCS = Path(__file__).parents[2] / "docs" / "hooks.md"
SPOKEN_OF = (
    latentry_sdk.Device,
    latentry_sdk.DeviceReport,
    latentry_sdk.Executor,
    latentry_sdk.InputSpec,
    latentry_sdk.JobRecord,
    latentry_sdk.ModelEntry,
    latentry_sdk.Placed,
    latentry_sdk.PlacementRequest,
    latentry_sdk.Result,
    latentry_sdk.Store,
)
HOOKS = [name for name in dir(hooks) if hasattr(getattr(hooks, name), "latentry_spec")]


def host_with(tmp_path: Path, **implementations: Any) -> Host:
    """A host with the toy and a plugin of these hooks."""
    plugin = SimpleNamespace(**{name: hookimpl(function) for name, function in implementations.items()})
    host = Host([latentry_toy, plugin], Config(data_dir=tmp_path, models_dir=tmp_path / "models"))
    assert [record.reason for record in host.records if record.status != "active"] == []
    return host


def drawn(host: Host, **more: Any) -> Artifact:
    return host.run(Request(**{"task": "toy", "prompt": "cross", "seed": 3, **more})).artifacts[0]


def test_every_hook_has_a_test() -> None:
    assert [name for name in HOOKS if f"test_hook_{name}" not in globals()] == []


def test_every_hook_is_documented_with_its_exact_arguments() -> None:
    headings = re.findall(r"^## (\w+)\((.*)\)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    exact = {name: ", ".join(inspect.signature(getattr(hooks, name)).parameters) for name in HOOKS}
    assert dict(headings) == exact


@pytest.mark.parametrize("name", HOOKS)
def test_every_type_in_a_hooks_signature_is_exported_by_the_sdk(name: str) -> None:
    signature = inspect.signature(getattr(hooks, name))
    written = [parameter.annotation for parameter in signature.parameters.values()]
    words = re.findall(r"latentry\.\w+\.(\w+)", " ".join(map(str, [*written, signature.return_annotation])))
    plain = [kind.__name__ for kind in written if getattr(kind, "__module__", "").startswith("latentry.")]
    assert [word for word in (*words, *plain) if word not in latentry_sdk.__all__] == []


def named_in(kind: Any) -> Iterator[str]:
    """The names of the kernel's classes in an annotation, however deep."""
    if getattr(kind, "__module__", "").startswith("latentry.") and isinstance(kind, type):
        yield kind.__name__
    for part in kind if isinstance(kind, list) else get_args(kind):
        yield from named_in(part)


PARTS = [*COLLECTED.values(), *SPOKEN_OF]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_type_in_a_part_of_a_signature_is_exported_by_the_sdk(part: type) -> None:
    names = {"Host": Host, "Job": latentry_sdk.Job, "Plan": latentry_sdk.Plan}
    hints = dict(get_type_hints(part, localns=names))
    for method in vars(part).values():
        if inspect.isfunction(method) and not method.__name__.startswith("__"):
            hints |= {f"{method.__name__}.{k}": v for k, v in get_type_hints(method, localns=names).items()}
    unknown = {place: name for place, hint in hints.items() for name in named_in(hint)
               if name not in latentry_sdk.__all__}  # fmt: skip
    assert unknown == {}


def test_hook_register_devices(tmp_path: Path) -> None:
    class Loud(keeping.ToyDevice):
        def place(self, component: Component, dtype: str | None) -> Any:
            return keeping.ToyPlaced(lambda pattern: component.module(pattern) * 0.0)

    spec = DeviceSpec("grey", lambda: DeviceReport(True), lambda _options: Loud(), frozenset({"toy"}))
    host = host_with(tmp_path, register_devices=lambda: [spec], choose_device=lambda: Placement("grey"))
    assert 100 < sum(drawn(host).data[-64:]) / 64 < 155


def test_hook_register_schedulers(tmp_path: Path) -> None:
    spec = SchedulerSpec("two", lambda steps, levels, /: (*range(steps, 0, -1), 0.0))
    host = host_with(tmp_path, register_schedulers=lambda: [spec])
    assert host.plan(Request(task="toy", scheduler="two", steps=3)).sigmas == (3, 2, 1, 0.0)


def test_hook_register_samplers(tmp_path: Path) -> None:
    def white(_denoise: Any, x: Grid, _sigmas: Any, *, on_step: Any) -> Grid:
        return x * 0.0 + 1.0

    host = host_with(tmp_path, register_samplers=lambda: [SamplerSpec("white", white)])
    assert set(drawn(host, sampler="white").data[-64:]) == {255}


def test_hook_register_optimizers(tmp_path: Path) -> None:
    calls: list[str] = []

    def apply(component: Component, _device: Any) -> Any:
        calls.append("applied")
        return component, lambda: calls.append("undone")

    spec = OptimizerSpec("watched", frozenset({"*"}), lambda footprint, work: footprint, apply)
    host = host_with(tmp_path, register_optimizers=lambda: [spec])
    drawn(host, optimizers=("watched",))
    assert calls == ["applied"]
    drawn(host)
    assert calls == ["applied", "undone"]


def test_hook_register_quantizers(tmp_path: Path) -> None:
    spec = QuantizerSpec("q", ("a", "b"), frozenset({"painter"}), keeping_scheme := SchemeKeeper())
    host = host_with(tmp_path, register_quantizers=lambda: [spec])
    drawn(host, quantize={"painter": "q:b"})
    assert keeping_scheme.schemes == ["b"]
    with pytest.raises(UnknownName, match="a, b"):
        drawn(host, quantize={"painter": "q:c"})


class SchemeKeeper:
    def __init__(self) -> None:
        self.schemes: list[str] = []

    def __call__(self, component: Component, scheme: str) -> Component:
        self.schemes.append(scheme)
        return component


def test_hook_register_stages(tmp_path: Path) -> None:
    stage = StageSpec("fixed", lambda state: state.put(latentry_sdk.ARTIFACTS, (Artifact(b"x", "a/b", 1),)),
                      gives=(latentry_sdk.ARTIFACTS,))  # fmt: skip
    task = TaskSpec("fixed", stages=("fixed",), model="toy", formats=("x",))
    host = host_with(tmp_path, register_stages=lambda: [stage], register_tasks=lambda: [task])
    assert drawn(host, task="fixed").data == b"x"


def test_hook_register_tasks(tmp_path: Path) -> None:
    task = TaskSpec("again", stages=latentry_toy.register_tasks()[0].stages, model="toy", formats=("pgm",),
                    options=latentry_toy.ToyOptions)  # fmt: skip
    host = host_with(tmp_path, register_tasks=lambda: [task])
    assert drawn(host, task="again").data == drawn(host).data


def test_hook_register_models(tmp_path: Path) -> None:
    def detect(header: latentry_sdk.ModelHeader) -> Any:
        return painter.detect(painter_header) if header.index.get("_class_name") == "Mine" else None

    painter_header = latentry_sdk.read_header(painter.MODEL)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "model_index.json").write_text('{"_class_name": "Mine"}')
    family = ModelFamily("mine", detect, painter.load, latentry_toy.ROLES, kind="toy")
    host = host_with(tmp_path, register_models=lambda: [family])
    assert host.plan(Request(task="toy", model="mine")).family.name == "mine"


def test_hook_register_surfaces(tmp_path: Path) -> None:
    served: list[Host] = []
    host = host_with(tmp_path, register_surfaces=lambda: [SurfaceSpec("s", served.append)])
    host.serve("s")
    assert served == [host]


def test_hook_register_executors(tmp_path: Path) -> None:
    opened = SimpleNamespace(run=lambda job: job.plan.seeds, close=lambda: None)
    host = host_with(tmp_path, register_executors=lambda: [ExecutorSpec("e", lambda _host: opened)])
    host.config = host.config.model_copy(update={"executor": "e"})
    assert host.run(Request(task="toy", seed=9)) == (9,)


def test_hook_register_stores(tmp_path: Path) -> None:
    kept: list[Any] = []
    opened = SimpleNamespace(put=kept.append)
    host = host_with(tmp_path, register_stores=lambda: [StoreSpec("s", lambda _folder: opened)])
    host.config = host.config.model_copy(update={"store": "s"})
    drawn(host)
    assert [record.status for record in kept] == ["queued", "running", "done"]


def test_hook_register_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def register(cli: click.Group) -> None:
        cli.add_command(click.Command("greet", callback=lambda: click.echo("hello")))

    cli.build(host_with(tmp_path, register_commands=register)).main(["greet"], standalone_mode=False)
    assert capsys.readouterr().out == "hello\n"


def test_hook_list_models(tmp_path: Path) -> None:
    host = host_with(tmp_path, list_models=lambda: [ModelEntry("Mine 2", tmp_path)])
    assert {"toy", "Mine 2"} <= {entry.name for entry in host.models()}
    with pytest.raises(UnknownName, match="Mine 2"):
        host.plan(Request(task="toy", model="other"))


def test_hook_find_model(tmp_path: Path) -> None:
    host = host_with(tmp_path, find_model=lambda ref: painter.MODEL if ref == "hub:cross" else None)
    assert host.plan(Request(task="toy", model="hub:cross")).header.path == painter.MODEL


def test_hook_choose_device(tmp_path: Path) -> None:
    spec = DeviceSpec("second", keeping.probe, keeping.open_device, frozenset({"toy"}))
    asked: list[Any] = []

    def choose(request: latentry_sdk.PlacementRequest, devices: Any) -> Placement:
        asked.append((request.component, sorted(devices), request.model.variant, request.job.steps))
        return Placement("second")

    host = host_with(tmp_path, register_devices=lambda: [spec], choose_device=choose)
    plan = host.plan(Request(task="toy", steps=3))
    assert plan.placements["painter"].device == "second"
    assert asked == [("painter", ["second", "toy"], plan.detected.variant, 3)]


def test_hook_fit_memory(tmp_path: Path) -> None:
    spec = OptimizerSpec("small", frozenset({"*"}), lambda footprint, work: footprint, keeping.remember)

    def fit(plan: latentry_sdk.Plan, optimizers: Any, devices: Any) -> latentry_sdk.Plan:
        assert [*devices] == ["toy"]
        added = tuple(one for one in optimizers.values() if one.name == "small")
        options = {**plan.options, ("OptimizerSpec", "small"): latentry_sdk.Options()}
        return replace(plan, optimizers=added, options=options, memory={"toy": 7}, notes=("made small",))

    host = host_with(tmp_path, register_optimizers=lambda: [spec], fit_memory=fit)
    applied = host.run(Request(task="toy", prompt="cross")).applied
    assert applied["optimizers"] == ["painter=small"]
    assert (applied["memory"], applied["notes"]) == ({"toy": 7}, ["made small"])


def test_hook_retry_job(tmp_path: Path) -> None:
    def run(state: State) -> State:
        if not state[latentry_sdk.JOB].plan.notes:
            raise latentry_sdk.OutOfMemory("too much")
        return state.put(latentry_sdk.ARTIFACTS, (Artifact(b"x", "a/b", 1),))

    def retry(plan: latentry_sdk.Plan, error: Exception) -> latentry_sdk.Plan:
        return replace(plan, notes=(str(error),))

    stage = StageSpec("hungry", run, gives=(latentry_sdk.ARTIFACTS,))
    task = TaskSpec("hungry", stages=("hungry",), model="toy", formats=("x",))
    host = host_with(
        tmp_path, register_stages=lambda: [stage], register_tasks=lambda: [task], retry_job=retry
    )
    assert host.run(Request(task="hungry")).applied["notes"] == ["too much"]


def test_hook_run_stage(tmp_path: Path) -> None:
    seen: list[str] = []

    def wrap(stage: StageSpec, state: State) -> Any:
        seen.append(stage.name)
        return (yield)

    plugin = SimpleNamespace(run_stage=hookimpl(wrapper=True)(wrap))
    host = Host([latentry_toy, plugin], Config(data_dir=tmp_path, models_dir=tmp_path))
    drawn(host)
    assert seen[0] == "load"
    assert seen[-1] == "toy.decode"


def test_hook_on_event(tmp_path: Path) -> None:
    seen: list[str] = []
    drawn(host_with(tmp_path, on_event=lambda event: seen.append(type(event).__name__)), steps=2)
    assert seen[:2] == ["Queued", "Started"]
    assert seen.count("Stepped") == 2
    assert seen[-1] == "Done"


def test_a_listener_that_raises_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def listen(event: latentry_sdk.Event) -> None:
        raise RuntimeError("deaf")

    assert drawn(host_with(tmp_path, on_event=listen)).data
    assert "deaf" in caplog.text
