"""Every mistake of the user ends at planning, in one line that says what is legal."""

import json
from collections.abc import Callable, Mapping
from math import inf, nan
from typing import Any

import pytest
from pydantic import Field, ValidationError

from latentry import Config, Host, Request, UserError
from latentry.errors import InvalidModel, InvalidRequest, PluginError, Unavailable, UnknownName
from latentry.header import read_header
from latentry.plan import Plan
from latentry_sdk import (
    ARTIFACTS,
    JOB,
    Artifact,
    Count,
    Detected,
    DeviceReport,
    DeviceSpec,
    InputSpec,
    Key,
    ModelFamily,
    ModelHeader,
    Options,
    Placement,
    QuantizerSpec,
    SamplerSpec,
    SchedulerSpec,
    StageSpec,
    State,
    TaskSpec,
)
from latentry_toy import ROLES, painter

Make = Callable[..., Any]
ANY = frozenset({"*"})


class Depth(Options):
    depth: Count = Field(3, ge=1, le=9)


@pytest.fixture
def host(open_host: Make, plugin: Make) -> Host:
    """The toy, and a plugin with things to be wrong about."""
    here = DeviceSpec("here", lambda: DeviceReport(True), lambda options: None, frozenset({"toy"}))  # type: ignore[arg-type, return-value]
    gone = DeviceReport(False, "no chip", "pip install chip")
    away = DeviceSpec("away", lambda: gone, lambda options: None, frozenset({"toy"}))  # type: ignore[arg-type, return-value]
    torch = DeviceSpec("torchy", lambda: DeviceReport(True), lambda options: None)  # type: ignore[arg-type, return-value]
    stages = ("load", "@encode_prompt", "@noise", "@denoise", "toy.start", "sample", "@decode")
    given: Host = open_host(
        plugin(
            register_devices=lambda: [here, away, torch],
            register_samplers=lambda: [
                SamplerSpec("flowing", lambda d, x, s: x, spaces=frozenset({"flow"})),
                SamplerSpec("parted", lambda d, x, s: x, unguided=True),
                SamplerSpec("deep", lambda d, x, s, *, on_step, depth: x, options=Depth),
            ],
            register_quantizers=lambda: [
                QuantizerSpec("unet-only", ("q1",), frozenset({"unet"}), lambda c, s: c),
                QuantizerSpec("needy", ("q1",), ANY, lambda c, s: c, requires=("no-such-thing",)),
            ],
            register_tasks=lambda: [
                TaskSpec(
                    "edit",
                    stages,
                    inputs=(
                        InputSpec("image", "image", description="What to change"),
                        InputSpec("mask", "mask", required=False),
                    ),
                    formats=("pgm", "jpeg"),
                    model="toy",
                ),
                TaskSpec("upscale", ("load", "@enlarge"), model="toy"),
                TaskSpec("gap", ("load", "sample"), model="toy"),
                TaskSpec("lost", ("load", "nowhere"), model="toy"),
            ],
        )
    )
    return given


MISTAKES: Mapping[str, tuple[dict[str, Any], str]] = {
    "task": ({"task": "txt3img"}, "unknown task 'txt3img'; known: edit, gap, lost, toy, upscale"),
    "model": ({"model": "horse"}, "unknown model 'horse'; known: toy"),
    "sampler": (
        {"sampler": "eular"},
        "unknown sampler 'eular'; known: deep, flowing, parted, toy_ancestral, toy_euler",
    ),
    "scheduler": ({"scheduler": "karas"}, "unknown scheduler 'karas'; known: toy_even"),
    "device": ({"place": {"painter": "gpu"}}, "unknown device 'gpu'; known: away, here, torchy, toy"),
    "device of another kind": ({"place": {"painter": "torchy"}}, "known: away, here, toy"),
    "device for all": ({"place": {"*": "gpu"}}, "unknown device 'gpu'"),
    "device that is not there": (
        {"place": {"*": "away"}},
        "no device runs toy components (away: no chip); pip install chip",
    ),
    "component to place": (
        {"place": {"unet": "toy"}},
        "unknown component to place 'unet'; known: *, painter",
    ),
    "component to quantize": ({"quantize": {"unet": "toy-round"}}, "'unet'; known: painter"),
    "quantizer": ({"quantize": {"painter": "gguf"}}, "unknown quantizer 'gguf'; known: needy, toy-round"),
    "scheme": (
        {"quantize": {"painter": "toy-round:int3"}},
        "unknown scheme of toy-round 'int3'; known: int1, int8",
    ),
    "part of a quantizer": (
        {"quantize": {"painter": "unet-only"}},
        "unknown part for unet-only 'painter'; known: unet",
    ),
    "requirement of a quantizer": (
        {"quantize": {"painter": "needy"}},
        "needy needs no-such-thing, which is not installed; pip install 'no-such-thing'",
    ),
    "optimizer": ({"optimizers": ("xformers",)}, "unknown optimizer 'xformers'; known: toy-remember"),
    "dtype": ({"dtype": "float3"}, "unknown dtype on toy 'float3'; known: float64"),
    "format": ({"format": "png"}, "unknown format 'png'; known: pgm"),
    "owner of options": ({"options": {"toi": {}}}, "unknown owner of options 'toi'; known: toy"),
    "owner not in this job": ({"options": {"deep": {}}}, "unknown owner of options 'deep'; known: toy"),
    "option": ({"options": {"toy": {"colour": 1}}}, "toy: unknown option 'colour'; known: contrast"),
    "value of an option": ({"options": {"toy": {"contrast": "much"}}}, "toy: contrast: "),
    "range of an option": ({"options": {"toy": {"contrast": 5}}}, "less than or equal to 1 (got '5')"),
    "option of a sampler": ({"sampler": "deep", "options": {"deep": {"depth": True}}}, "deep: depth: "),
    "input": ({"inputs": {"image": "x.png"}}, "unknown input 'image'; known: none"),
    "missing input": ({"task": "edit"}, "task 'edit' needs the input 'image': What to change"),
    "input that is none": ({"task": "edit", "inputs": {"image": None}}, "needs the input 'image'"),
    "role": ({"task": "upscale"}, "'toy' models cannot do enlarge, which 'upscale' needs"),
    "space of a sampler": ({"sampler": "flowing"}, "sampler 'flowing' does not fit toy models"),
    "guidance of a sampler": ({"sampler": "parted"}, "sampler 'parted' does not fit toy models"),
    "width": ({"width": 12}, "width 12 is no multiple of 8; 8 or 16 is"),
    "height": ({"height": 15}, "height 15 is no multiple of 8"),
    "size of the task": ({"width": 16}, "8 × 8 pixels, and no other size"),
    "pixels": ({"width": 16384, "height": 16384}, "is more than 64 megapixels in one job"),
    "pixels of a batch": ({"width": 4096, "height": 1024, "batch": 64}, "64 × 4096 × 1024"),
}


@pytest.mark.parametrize(("fields", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_that_says_what_is_legal(
    host: Host, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        host.plan(Request(**{"task": "toy", **fields}))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("field", ["model", "sampler", "scheduler", "format", "dtype"])
def test_an_empty_name_is_no_name_and_does_not_mean_the_default(host: Host, field: str) -> None:
    with pytest.raises((UserError, ValidationError)):
        host.plan(Request(**{"task": "toy", field: ""}))


NAMES = (
    "../toy",
    "..",
    "/etc/passwd",
    "C:\\toy",
    "\\\\host\\share",
    "toy\0",
    "%2e%2e/toy",
    "t\u043ey",
    "a" * 4000,
    "~nobody/x",
    "\n",
)


@pytest.mark.parametrize("field", ["model", "sampler", "scheduler", "format", "dtype", "task"])
@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:20] for name in NAMES])
def test_a_hostile_name_is_refused_in_one_short_line(host: Host, field: str, name: str) -> None:
    with pytest.raises((UserError, ValidationError)) as caught:
        host.plan(Request(**{"task": "toy", field: name}))
    if isinstance(caught.value, UserError):
        assert str(caught.value).replace("×", "x").isprintable()
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "fields",
    [
        *({"seed": value} for value in (nan, inf, 1e308, 2.5, True, "x", -2, 2**64)),
        *({"steps": value} for value in (nan, 0, -1, 1001, 10**6, 1.5, True)),
        *({"width": value} for value in (nan, inf, 0, 7, -8, 10**6, True)),
        *({"batch": value} for value in (0, -1, 65, 1.5, True)),
        *({"guidance": value} for value in (nan, inf, -inf, -100, -0.1, 101, 1e308, True)),
        {"prompt": "x" * 1_000_001},
        {"prompt": "\udcff"},
        {"place": {f"p{i}": "toy" for i in range(65)}},
        {"optimizers": ["x"] * 65},
        {"colour": "red"},
    ],
    ids=lambda fields: str(fields)[:30],
)
def test_a_request_with_a_value_out_of_range_cannot_be_made(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Request(**{"task": "toy", **fields})


@pytest.mark.parametrize(
    "fields", [{"seed": 2**64 - 1}, {"seed": -1}, {"steps": 1000}, {"guidance": 0}, {"batch": 64}]
)
def test_the_ends_of_the_ranges_are_in_them(host: Host, fields: dict[str, Any]) -> None:
    assert host.plan(Request(**{"task": "toy", **fields}))


def test_seeds_count_up_and_go_round_at_the_end(host: Host) -> None:
    assert host.plan(Request(task="toy", seed=5, batch=3)).seeds == (5, 6, 7)
    assert host.plan(Request(task="toy", seed=2**64 - 1, batch=2)).seeds == (2**64 - 1, 0)


def test_no_seed_draws_a_new_one_each_time(host: Host) -> None:
    drawn = {host.plan(Request(task="toy", seed=seed)).seeds for seed in (None, -1) for _ in range(4)}
    assert len(drawn) == 8
    assert host.plan(Request(task="toy", seed=0)).seeds == (0,)


def test_what_is_left_out_comes_from_the_model(host: Host) -> None:
    plan = host.plan(Request(task="toy"))
    assert (plan.sampler.name, plan.scheduler.name, plan.size) == ("toy_euler", "toy_even", (8, 8))
    assert (plan.format, len(plan.sigmas)) == ("pgm", 21)
    assert plan.memory == {"toy": 5 * 64 * 8}


def test_a_plan_accounts_for_every_choice(host: Host) -> None:
    asked = Request(
        task="toy", seed=1, sampler="deep", quantize={"painter": "toy-round"}, optimizers=("toy-remember",)
    )
    applied = host.plan(asked).applied()
    assert applied["sampler"] == "deep"
    assert applied["quantizers"] == {"painter": "toy-round:int8"}
    assert applied["optimizers"] == ["painter=toy-remember"]
    assert applied["placements"] == {"painter": "toy"}
    assert applied["options"] == {"toy": {"contrast": 1.0}, "deep": {"depth": 3}}
    assert applied["model"] == {"name": "model", "family": "toy", "variant": "toy"}


def test_options_of_a_request_are_stronger_than_the_configuration(open_host: Make) -> None:
    host = open_host(options={"toy": {"contrast": 0.5}})
    assert host.plan(Request(task="toy")).applied()["options"]["toy"] == {"contrast": 0.5}
    asked = Request(task="toy", options={"toy": {"contrast": 0.25}})
    assert host.plan(asked).applied()["options"]["toy"] == {"contrast": 0.25}


def test_a_jpg_is_a_jpeg(host: Host) -> None:
    assert host.plan(Request(task="edit", inputs={"image": "x"}, format="jpg")).format == "jpeg"


@pytest.mark.parametrize(
    ("task", "message"), [("gap", "nothing before 'sample' gives 'denoise'"), ("lost", "'nowhere'")]
)
def test_a_task_that_cannot_run_is_refused_before_it_runs(host: Host, task: str, message: str) -> None:
    with pytest.raises((PluginError, UnknownName), match=message):
        host.plan(Request(task=task))


def test_a_named_model_is_looked_for_in_the_models_folder_then_as_a_path(
    host: Host, model_folder: Make
) -> None:
    folder = model_folder("my model")
    assert host.plan(Request(task="toy", model="my model")).header.path == folder
    assert host.plan(Request(task="toy", model=str(folder))).header.path == folder
    assert "my model" in {entry.name for entry in host.models()}


def test_a_model_of_no_installed_family_lists_the_families(host: Host, model_folder: Make) -> None:
    model_folder("other", _class_name="FluxPipeline")
    with pytest.raises(UserError, match=r"other is of no installed model family \(toy\)"):
        host.plan(Request(task="toy", model="other"))


def test_a_damaged_model_is_named(host: Host, model_folder: Make) -> None:
    (model_folder("broken") / "model_index.json").write_text("{")
    with pytest.raises(InvalidModel, match=r"model_index\.json"):
        host.plan(Request(task="toy", model="broken"))


def test_a_host_without_a_model_says_so(config: Config) -> None:
    with Host([], config) as host, pytest.raises(UnknownName, match="none is installed"):
        host.plan(Request(task="toy"))


def test_the_configurations_model_is_used_where_neither_request_nor_task_names_one(
    open_host: Make, plugin: Make, model_folder: Make
) -> None:
    task = TaskSpec("any", ("load",), formats=("x",))
    host = open_host(plugin(register_tasks=lambda: [task]), model="mine")
    folder = model_folder("mine")
    assert host.plan(Request(task="any")).header.path == folder


def test_a_budget_of_pixels_is_the_configurations(open_host: Make) -> None:
    host = open_host(max_megapixels=0.0001)
    assert host.plan(Request(task="toy"))
    with pytest.raises(InvalidRequest, match=r"0\.0001 megapixels"):
        host.plan(Request(task="toy", batch=2))


def test_no_device_for_a_family_says_what_was_found_and_what_to_do(
    open_host: Make, plugin: Make, model_folder: Make, toy_family: Make
) -> None:
    toy = toy_family().detect
    family = toy_family(
        name="tpu-family",
        kind="tpu",
        detect=lambda header: (
            toy(type(header)(header.path, {"_class_name": "ToyPainter", "spread": 0.1}))
            if header.index.get("_class_name") == "Tpu"
            else None
        ),
    )
    gone = DeviceReport(False, "no chip", "pip install chip")
    away = DeviceSpec("tpu", lambda: gone, lambda options: None, frozenset({"tpu"}))  # type: ignore[arg-type, return-value]
    host = open_host(plugin(register_models=lambda: [family], register_devices=lambda: [away]))
    model_folder("big", _class_name="Tpu")
    with pytest.raises(
        Unavailable, match=r"no device runs tpu components \(tpu: no chip\); pip install chip"
    ):
        host.plan(Request(task="toy", model="big"))


def test_a_probe_that_raises_makes_its_device_unavailable_and_no_other(open_host: Make, plugin: Make) -> None:
    def probe() -> DeviceReport:
        raise OSError("driver is mad")

    mad = DeviceSpec("mad", probe, lambda options: None, frozenset({"toy"}))  # type: ignore[arg-type, return-value]
    host = open_host(plugin(register_devices=lambda: [mad]))
    assert host.devices()["mad"].detail == "its probe failed: driver is mad"
    assert host.plan(Request(task="toy")).placements["painter"].device == "toy"
    with pytest.raises(Unavailable, match="driver is mad"):
        host.plan(Request(task="toy", place={"painter": "mad"}))


def test_a_device_is_placed_on_by_any_of_its_names(open_host: Make, plugin: Make) -> None:
    spec = DeviceSpec(
        "gpu-1", lambda: DeviceReport(True), lambda options: None, frozenset({"toy"}), aliases=("gpu:1",)
    )  # type: ignore[arg-type, return-value]
    host = open_host(plugin(register_devices=lambda: [spec]))
    for place, fallback in (("gpu:1", ()), ("GPU-1", ("toy",)), ("gpu-1", ("gpu:1",))):
        plan = host.plan(Request(task="toy", place={"painter": place}, fallback=fallback))
        assert plan.placements["painter"].device == "gpu-1"


def test_a_probe_runs_once_in_a_hosts_life(open_host: Make, plugin: Make) -> None:
    calls: list[int] = []

    def probe() -> DeviceReport:
        calls.append(1)
        return DeviceReport(True, dtypes=("float64",))

    counted = DeviceSpec("counted", probe, lambda options: None, frozenset({"toy"}))  # type: ignore[arg-type, return-value]
    host = open_host(plugin(register_devices=lambda: [counted]))
    for _ in range(2):
        host.devices()
        host.plan(Request(task="toy"))
    assert calls == [1]


def test_a_policy_that_chooses_what_cannot_be_used_is_a_plugin_error(open_host: Make, plugin: Make) -> None:
    host = open_host(plugin(choose_device=lambda: Placement("moon")))
    with pytest.raises(PluginError, match="chose a device that cannot be used"):
        host.plan(Request(task="toy"))


def test_of_available_devices_the_highest_rank_is_taken(
    config: Config, plugin: Make, toy_family: Make
) -> None:
    def spec(name: str, rank: int, *, there: bool = True) -> DeviceSpec:
        report = DeviceReport(there, rank=rank, dtypes=("float64",))
        return DeviceSpec(name, lambda: report, lambda options: None, frozenset({"toy"}))  # type: ignore[arg-type, return-value]

    devices = [spec("low", 1), spec("high", 5), spec("away", 9, there=False)]
    own = plugin(
        register_devices=lambda: devices,
        register_models=lambda: [toy_family()],
        register_tasks=lambda: [TaskSpec("only", ("load",), formats=("x",))],
        register_samplers=lambda: [SamplerSpec("toy_euler", lambda d, x, s: x)],
        register_schedulers=lambda: [SchedulerSpec("toy_even", lambda n, r: (*range(n, 0, -1), 0.0))],
        find_model=lambda ref: painter.MODEL,
    )
    with Host([own], config) as host:
        assert host.plan(Request(task="only")).placements["painter"] == Placement("high")
        named = host.plan(Request(task="only", place={"painter": "low"}))
        assert named.placements["painter"] == Placement("low")


@pytest.mark.parametrize(
    "levels",
    [
        (),
        (1.0,),
        (1.0, 0.5),
        (0.5, 1.0, 0.0),
        (1.0, 1.0, 0.0),
        (2.0, nan, 0.0),
        (nan, 1.0, 0.0),
        (inf, 1.0, 0.0),
        (1.0, 0.5, nan),
        (2.0, 1.0, -1.0),
    ],
    ids=str,
)
def test_levels_that_do_not_fall_to_zero_are_a_plugin_error(
    open_host: Make, plugin: Make, levels: tuple[float, ...]
) -> None:
    host = open_host(plugin(register_schedulers=lambda: [SchedulerSpec("bad", lambda steps, r: levels)]))
    with pytest.raises(PluginError, match="'bad'"):
        host.plan(Request(task="toy", scheduler="bad", steps=2))


def broken(*_: Any, **__: Any) -> Any:
    raise KeyError("oops")


def test_a_schedule_that_raises_is_a_plugin_error_that_names_it(open_host: Make, plugin: Make) -> None:
    host = open_host(plugin(register_schedulers=lambda: [SchedulerSpec("bad", broken)]))
    with pytest.raises(PluginError, match="bad"):
        host.plan(Request(task="toy", scheduler="bad"))


def test_a_family_whose_detection_raises_is_a_plugin_error_that_names_it(
    open_host: Make, plugin: Make, model_folder: Make
) -> None:
    bad = ModelFamily("bad", broken, broken, {})
    host = open_host(plugin(register_models=lambda: [bad]))
    model_folder("other", _class_name="Other")
    with pytest.raises(PluginError, match="bad"):
        host.plan(Request(task="toy", model="other"))


def test_families_are_asked_about_a_model_once_until_a_file_of_it_changes(
    open_host: Make, plugin: Make, model_folder: Make
) -> None:
    asked: list[ModelHeader] = []

    def detect(header: ModelHeader) -> Detected | None:
        asked.append(header)
        return painter.detect(read_header(painter.MODEL)) if header.index["_class_name"] == "Mine" else None

    mine = ModelFamily("mine", detect, broken, ROLES, kind="toy")
    host = open_host(plugin(register_models=lambda: [mine]))
    request = Request(task="toy", model=str(folder := model_folder("mine", _class_name="Mine")))
    assert {host.plan(request).family.name for _ in range(3)} == {"mine"}
    assert len(asked) == 1
    index = folder / "model_index.json"
    index.write_text(index.read_text() + "\n")
    host.plan(request)
    assert len(asked) == 2
    index.write_text(json.dumps({"_class_name": "Other"}))
    with pytest.raises(UserError, match="of no installed model family"):
        host.plan(request)


@pytest.mark.parametrize("hook", ["find_model", "list_models", "choose_device"])
def test_a_hook_that_raises_at_planning_is_a_plugin_error_that_names_it(
    open_host: Make, plugin: Make, hook: str
) -> None:
    host = open_host(plugin(**{hook: lambda: broken()}))
    with pytest.raises(PluginError, match=hook):
        host.plan(Request(task="toy", model="nowhere" if hook == "list_models" else "toy"))


def test_two_parts_of_a_job_that_take_options_under_one_name_are_a_plugin_error(
    open_host: Make, plugin: Make
) -> None:
    stage = StageSpec("twice", lambda state: state, options=Depth)
    task = TaskSpec("twice", ("load", "twice"), options=Depth, model="toy", formats=("x",))
    host = open_host(plugin(register_stages=lambda: [stage], register_tasks=lambda: [task]))
    with pytest.raises(PluginError, match="'twice'"):
        host.plan(Request(task="twice"))


def test_a_tasks_own_check_refuses_what_no_field_can(open_host: Make, plugin: Make) -> None:
    def check(request: Request, options: Depth) -> None:
        if request.batch * options.depth > 9:
            raise InvalidRequest("too deep for so many")

    task = TaskSpec("deep", ("load",), options=Depth, model="toy", check=check, formats=("x",))
    host = open_host(plugin(register_tasks=lambda: [task]))
    assert host.plan(Request(task="deep", batch=3))
    with pytest.raises(InvalidRequest, match="too deep for so many"):
        host.plan(Request(task="deep", batch=3, options={"deep": {"depth": 9}}))


def test_an_optional_stage_runs_where_a_plugin_gives_it_and_is_left_out_elsewhere(
    open_host: Make, plugin: Make
) -> None:
    ring = Key[str]("mark")
    mark = StageSpec("mark", lambda state: state.put(ring, "was here"), gives=(ring,))
    last = StageSpec(
        "last", lambda state: state.put(ARTIFACTS, (Artifact(state.get(ring, "").encode(), "a/x", 0),))
    )
    task = TaskSpec("marked", ("mark?", "last"), formats=("x",), model="toy")
    stages = {"register_stages": lambda: [last], "register_tasks": lambda: [task]}
    marking = plugin("marking", register_stages=lambda: [mark])
    request = Request(task="marked")
    with_it, without = open_host(plugin("tasks", **stages), marking), open_host(plugin("tasks", **stages))
    assert [stage.name for stage in with_it.plan(request).stages] == ["mark", "last"]
    assert with_it.run(request).artifacts[0].data == b"was here"
    assert without.run(request).artifacts[0].data == b""
    with pytest.raises(UnknownName, match="unknown stage 'mark'"):
        open_host(plugin("strict", register_tasks=lambda: [TaskSpec("strict", ("mark",), model="toy")])).plan(
            Request(task="strict")
        )


def test_a_part_may_work_by_a_further_plan(open_host: Make, plugin: Make) -> None:
    def twice(plan: Plan, planned: Callable[[Request], Plan]) -> Plan:
        return planned(Request(task="plain", seed=plan.seeds[0], steps=2 * plan.request.steps))

    stage = StageSpec("again", lambda state: state, further=twice)
    plain = TaskSpec("plain", ("load",), model="toy", formats=("x",))
    tasks = [plain, TaskSpec("both", ("load", "again"), model="toy", formats=("x",))]
    host = open_host(plugin(register_stages=lambda: [stage], register_tasks=lambda: tasks))
    plan = host.plan(Request(task="both", steps=4))
    again = plan.further["again"]
    assert again
    assert (again.task, again.seeds, len(again.sigmas) - 1) == (plain, plan.seeds, 8)
    assert (plan.further["both"], again.further) == (None, {"plain": None, "load": None})


def test_what_a_further_plan_refuses_or_breaks_is_told_in_one_line(open_host: Make, plugin: Make) -> None:
    def refuse(_plan: Plan, planned: Callable[[Request], Plan]) -> Plan:
        return planned(Request(task="nowhere"))

    tasks = [
        TaskSpec("refuses", ("load",), model="toy", formats=("x",), further=refuse),
        TaskSpec("breaks", ("load",), model="toy", formats=("x",), further=lambda *_: 1 / 0),
    ]
    host = open_host(plugin(register_tasks=lambda: tasks))
    with pytest.raises(UnknownName, match="unknown task 'nowhere'"):
        host.plan(Request(task="refuses"))
    with pytest.raises(PluginError, match="'breaks' failed: ZeroDivisionError"):
        host.plan(Request(task="breaks"))


def test_a_stage_may_run_twice_with_the_same_options(open_host: Make, plugin: Make) -> None:
    ran: list[int] = []

    def dig(state: State) -> State:
        ran.append(state[JOB].options(Depth).depth)
        return state.put(ARTIFACTS, ())

    stage = StageSpec("dig", dig, gives=(ARTIFACTS,), options=Depth)
    task = TaskSpec("digs", ("dig", "load", "dig"), model="toy", formats=("x",))
    host = open_host(plugin(register_stages=lambda: [stage], register_tasks=lambda: [task]))
    host.run(Request(task="digs", options={"dig": {"depth": 7}}))
    assert ran == [7, 7]
