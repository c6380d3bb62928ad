"""The toy's parts by themselves: arithmetic, files and model, and that what it does can be undone."""

import logging
import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from math import exp
from operator import mul
from pathlib import Path
from statistics import fmean, pstdev
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_toy
from latentry import Config, Host, Request, UserError
from latentry.errors import InvalidInput, InvalidModel, InvalidRequest, Unavailable
from latentry_sdk import SOURCE, Component, JobRecord, ModelHeader, State, read_header
from latentry_toy import keeping, painter, stages
from latentry_toy.grid import SIDE, Grid, as_pgm, as_text


def record(number: int, status: str = "queued", **inputs: Any) -> JobRecord:
    return JobRecord(f"job{number}", Request(task="toy", seed=number, inputs=inputs), status)


@pytest.fixture
def component() -> Component:
    return load_component()


def load_component() -> Component:
    header = read_header(painter.MODEL)
    detected = painter.detect(header)
    assert detected
    return painter.load(header, detected)["painter"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


def test_arithmetic_is_elementwise_and_one_picture_meets_each_of_a_batch() -> None:
    one = Grid(tuple(float(i) for i in range(64)))
    two = Grid(one.values + tuple(-value for value in one.values))
    assert (two + one).pictures() == [(one * 2).values, (one * 0.0).values]
    assert (one - two).pictures()[1] == (one * 2).values
    assert (1 - one).values[:3] == (1, 0, -1)
    assert ((one + 1) * 2 / 4).values[:3] == (0.5, 1.0, 1.5)
    assert (1 + one, 2 * one) == (one + 1, one * 2)


def test_batches_of_other_sizes_do_not_mix() -> None:
    with pytest.raises(ValueError, match="zip"):
        Grid((0.0,) * 128) + Grid((0.0,) * 192)


def test_a_picture_is_written_as_pgm_and_drawn_as_text() -> None:
    pgm = as_pgm([-2.0, -1.0, 0.0, 1.0, 2.0, *[0.5] * 59])
    assert list(pgm[-64:-59]) == [0, 0, 128, 255, 255]
    assert as_text(pgm).splitlines()[0] == "    ++@@@@######"


@pytest.mark.parametrize(
    "data", [b"", b"P5 8 8 255\n" + bytes(63), b"P5 9 8 255\n" + bytes(64), b"\x89PNG", bytes(99)]
)
def test_what_is_no_picture_of_the_toy_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        as_text(data)


def test_only_a_toys_checkpoint_is_detected(tmp_path: Path) -> None:
    assert painter.detect(ModelHeader(tmp_path, {"_class_name": "StableDiffusionPipeline"})) is None
    assert painter.detect(ModelHeader(tmp_path, {})) is None


@pytest.mark.parametrize("spread", [None, "0.1", 0.0, -1.0, float("nan"), float("inf"), True, [], 10**400])
def test_a_spread_that_is_no_positive_number_is_an_invalid_model(tmp_path: Path, spread: object) -> None:
    with pytest.raises(InvalidModel, match="spread"):
        painter.detect(ModelHeader(tmp_path, {"_class_name": "ToyPainter", "spread": spread}))


def test_the_denoiser_is_exact() -> None:
    """Against the mean of many drawn pictures, weighted by how likely each makes the noisy value."""
    mean, spread, sigma, x, draw = 0.5, 0.3, 0.4, 1.1, random.Random(0)
    clean = [draw.gauss(mean, spread) for _ in range(20_000)]
    likely = [exp(-(((x - value) / sigma) ** 2) / 2) for value in clean]
    wanted = sum(map(mul, clean, likely)) / sum(likely)
    denoise = painter.gaussian_denoiser(Grid((mean,) * 64), spread)
    assert denoise(Grid((x,) * 64), sigma).values[0] == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("sampler", ["toy_euler", "toy_ancestral"])
def test_pictures_spread_around_the_pattern_as_the_checkpoint_says(config: Config, sampler: str) -> None:
    """Without contrast the pattern is grey, so that nothing is cut off at black or white."""
    asked = Request(task="toy", prompt="ring", seed=1, batch=32, steps=60, sampler=sampler,
                    options={"toy": {"contrast": 0}})  # fmt: skip
    with Host([latentry_toy], config) as host:
        pixels = [value / 127.5 - 1 for one in host.run(asked).artifacts for value in one.data[-64:]]
    assert fmean(pixels) == pytest.approx(0, abs=0.01)
    assert pstdev(pixels) == pytest.approx(0.1, rel=0.2)


def test_noise_is_unit_normal_the_same_at_the_start_and_fresh_between_steps() -> None:
    noise = painter.seeded_noise(range(50))
    assert noise.initial() == noise.initial() == painter.seeded_noise(range(50)).initial()
    between = noise.between(1.0, 0.5)
    assert between != noise.between(0.5, 0.1)
    assert abs(fmean(between.values)) < 0.1
    assert pstdev(between.values) == pytest.approx(1, abs=0.1)


def test_a_picture_is_encoded_as_the_toy_decodes_it() -> None:
    grey = bytes(range(0, 256, 4))
    source: Any = SimpleNamespace(convert=lambda mode: SimpleNamespace(tobytes=lambda: grey))
    known = stages.encode_image(State().put(SOURCE, source))[stages.KNOWN]
    assert as_pgm(known.values)[-64:] == grey


@pytest.mark.parametrize("fields", [{"width": 16}, {"height": 16}, {"width": 8, "height": 64}], ids=str)
def test_another_size_is_refused_and_not_ignored(config: Config, fields: Mapping[str, int]) -> None:
    with Host([latentry_toy], config) as host, pytest.raises(InvalidRequest, match="no other size"):
        host.plan(Request(task="toy", **fields))


@pytest.mark.parametrize(("scheme", "top"), [("int8", 255), ("int1", 1)])
def test_a_quantizer_rounds_every_weight_and_leaves_the_original(
    component: Component, scheme: str, top: int
) -> None:
    rounded = keeping.round_weights(component, scheme)
    levels = {value * 2 / top - 1 for value in range(top + 1)}
    assert {value for values in rounded.module.weights.values() for value in values} <= levels
    assert rounded.module.weights != component.module.weights
    assert component.module.weights == load_component().module.weights
    assert rounded.digest() != component.digest()


def test_a_digest_tells_the_weights_apart_and_nothing_else(component: Component) -> None:
    assert load_component().digest() == component.digest()
    assert replace(component, managed=True).digest() == component.digest()


def test_an_optimizer_paints_once_and_its_undo_forgets(component: Component) -> None:
    painted: list[str] = []

    def paint(pattern: str) -> Grid:
        painted.append(pattern)
        grid: Grid = component.module(pattern)
        return grid

    watched = replace(component, module=paint)
    quick, undo = keeping.remember(watched, keeping.ToyDevice())
    assert quick.module("ring") == quick.module("ring") == component.module("ring")
    assert painted == ["ring"]
    undo()
    quick.module("ring")
    assert painted == ["ring", "ring"]
    assert watched.module is paint


def test_a_device_computes_in_float64_and_says_so(component: Component) -> None:
    device = keeping.open_device(latentry_toy.ToyOptions())
    placed = device.place(component, "float64")
    assert (placed.dtype, placed("ring")) == ("float64", component.module("ring"))
    with pytest.raises(Unavailable, match="float16"):
        device.place(component, "float16")


def test_an_executor_runs_jobs_beside_the_callers_thread(config: Config) -> None:
    seen: set[str] = set()
    settings = config.model_copy(update={"executor": "toy-thread"})
    with Host([latentry_toy], settings) as host:
        asked = Request(task="toy", prompt="ring", seed=3)
        result = host.run(asked, on_event=lambda event: seen.add(threading.current_thread().name))
        with pytest.raises(UserError):
            host.run(Request(task="toy", prompt="horse"))
    assert any(name.startswith("toy") for name in seen)
    with Host([latentry_toy], config) as host:
        assert host.run(asked).artifacts == result.artifacts


def test_a_store_keeps_records_in_the_order_they_came(tmp_path: Path) -> None:
    store = keeping.JsonStore(tmp_path)
    for number in (2, 1, 3):
        store.put(record(number))
    store.put(record(2, "done"))
    kept = [(one.id, one.status) for one in store.records()]
    assert kept == [("job2", "done"), ("job1", "queued"), ("job3", "queued")]
    assert [(one.id, one.status) for one in keeping.JsonStore(tmp_path).records()] == kept
    assert store.get("job1") == record(1)
    assert store.get("../job1") is None


def test_a_store_keeps_inputs_that_are_text_and_leaves_out_the_others(tmp_path: Path) -> None:
    store = keeping.JsonStore(tmp_path)
    store.put(record(1, image="photo.png", mask=b"\xff\xfe", other=object()))
    assert keeping.JsonStore(tmp_path).records()[0].request.inputs == {"image": "photo.png"}
    assert not list(tmp_path.rglob("*.part"))


def test_a_prompt_that_cannot_be_drawn_does_not_end_the_lines(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", iter(["horse\n", "ring\n"]))
    with Host([latentry_toy], config) as host:
        host.serve("toy-lines")
    said = capsys.readouterr()
    assert "unknown pattern 'horse'" in said.err
    assert len(said.out.splitlines()) == SIDE


def test_the_toy_is_the_default_only_where_no_other_plugin_has_one(config: Config, tmp_path: Path) -> None:
    class Other:
        @latentry_toy.hookimpl
        def find_model(self, ref: str | None) -> Path | None:
            return None if ref else tmp_path

    for plugins in ([latentry_toy, Other()], [Other(), latentry_toy]):
        with Host(plugins, config) as host:
            assert host.hook.find_model(ref=None) == tmp_path
            assert host.hook.find_model(ref="toy") == painter.MODEL
    with Host([latentry_toy], config) as host:
        assert host.hook.find_model(ref=None) == painter.MODEL


def test_a_folder_called_toy_does_not_hide_the_model(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy").mkdir()
    monkeypatch.chdir(tmp_path)
    with Host([latentry_toy], config) as host:
        assert host.plan(Request(task="toy")).header.path == painter.MODEL


def test_events_are_told_to_the_log(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "latentry_toy"), Host([latentry_toy], config) as host:
        host.run(Request(task="toy", prompt="ring"))
    assert "Queued" in caplog.text
    assert "Done" in caplog.text


def test_the_wrapper_writes_down_the_way_of_a_job(config: Config) -> None:
    with Host([latentry_toy], config) as host:
        trail = host.run(Request(task="toy", prompt="ring")).applied["trail"]
    assert trail == [
        "load",
        *(f"toy.{name}" for name in ("encode_prompt", "noise", "denoise", "start")),
        "sample",
    ]
