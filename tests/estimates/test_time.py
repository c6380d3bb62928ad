"""How often a job asks its model is known before, for every sampler; and so how long it takes elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import latentry_cli as cli
from latentry import Config, Host, Request, UserError
from latentry_sdk.evaluations import MOST, evaluations

STEPS = 5
MACHINE = """
[[device]]
name = "cuda"
total = "24 GB"
dtypes = ["float16", "float32"]
speed = { float16 = "100 TFLOP/s" }
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins; components count their calls."""
    folder = tmp_path_factory.mktemp("host")
    options = {"bench": {"count": True}}
    with Host(config=Config(models_dir=folder, data_dir=folder, cache_dir=folder, options=options)) as host:
        yield host


def request(**asked: Any) -> Request:
    fields = {
        "task": "txt2img",
        "model": "emoji",
        "prompt": "a red apple",
        "steps": STEPS,
        "seed": 1,
        **asked,
    }
    return Request(**fields)


def called(host: Host, asked: Request) -> int:
    """How often the UNet was called in the job."""
    return sum(host.run(asked).applied["bench"]["unet"]["calls"].values())


def test_every_sampler_asks_as_often_as_was_said(host: Host) -> None:
    wrong = {}
    for name in host.registry.samplers:
        try:
            plan = host.plan(asked := request(sampler=name))
        except UserError:  # for models of another kind
            continue
        said, found = evaluations(plan), called(host, asked)
        if said != found:
            wrong[name] = said, found
    said, found = wrong.pop("dpm_adaptive")
    assert 0 < said < found, "it takes as many steps as its tolerance wants"
    assert wrong == {}


def test_a_sampler_that_asks_for_ever_is_counted_to_a_limit(host: Host) -> None:
    def endless(denoise: Any, x: Any, sigmas: Any, *, on_step: Any) -> Any:
        while True:
            x = denoise(x, sigmas[0])

    plan = host.plan(request())
    sampler = replace(plan.sampler, sample=endless)
    assert evaluations(replace(plan, sampler=sampler)) == MOST


def test_a_picture_to_start_from_leaves_the_steps_of_its_strength(host: Host) -> None:
    from PIL import Image

    for name in ("img2img", "inpaint"):
        inputs: dict[str, Any] = {"image": Image.new("RGB", (64, 64), "blue")}
        inputs |= {"mask": Image.new("L", (64, 64), 255)} if name == "inpaint" else {}
        asked = request(task=name, inputs=inputs, steps=10, options={name: {"strength": 0.5}})
        assert evaluations(host.plan(asked)) == called(host, asked) == 5


def test_a_larger_picture_of_two_passes_has_the_work_of_both(host: Host) -> None:
    asked = request(task="hires", options={"hires": {"scale": 1.25, "strength": 0.4}}, steps=10)
    plan = host.plan(asked)
    further = plan.further["hires"]
    assert further
    assert evaluations(plan) + evaluations(further) == called(host, asked) == 10 + 4


@pytest.fixture
def told(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What `latentry plan` says of a machine that a file describes."""

    def run(text: str, *flags: str) -> Any:
        file = tmp_path / "machine.toml"
        file.write_text(text)
        arguments = ["plan", "txt2img", "a red apple", "--model", "emoji", "--hardware", str(file), *flags]
        cli.build(host).main(arguments, standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_the_time_on_a_machine_that_is_elsewhere_is_the_work_over_its_speed(host: Host, told: Any) -> None:
    plan = host.plan(request(steps=20))
    work = sum(plan.family.operations(plan, part) for part in plan.placements)
    found = json.loads(told(MACHINE, "--json", "--steps", "20"))["applied"]["seconds"]
    assert found == pytest.approx(work / 100e12)
    assert f"time: about {1e3 * found:.3g} ms" in told(MACHINE, "--steps", "20")


def test_a_machine_of_unknown_speed_has_no_time(told: Any) -> None:
    assert "time: ?" in told(MACHINE.replace("float16 =", "float32 ="))
