"""Stages that break one promise each; `fails` is the one test of the suite that must tell."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import latentry_toy
from latentry_sdk import (
    ARTIFACTS,
    JOB,
    PLACED,
    Artifact,
    Component,
    Config,
    Detected,
    DeviceSpec,
    Field,
    Host,
    Key,
    ModelFamily,
    ModelHeader,
    ModelRange,
    Number,
    Options,
    Request,
    StageSpec,
    State,
    TaskSpec,
    hookimpl,
)
from latentry_sdk.modules import placed_module
from latentry_sdk.testing import StageSuite
from latentry_sdk.testing.here import HERE_SPEC

VALUE = Key[list[float]]("plain.value")
SECRET = Key[int]("plain.secret")
OTHER = Key[float]("plain.other")


def start(state: State) -> State:
    return state.put(VALUE, [1.0]).put(SECRET, 3)


def right(state: State) -> State:
    """Changes the model for the job, and undoes that."""
    module = placed_module(state, "layer")
    state[JOB].undos.callback(module.register_forward_hook(lambda *_: None).remove)
    return state.put(OTHER, state[VALUE][0] + 1)


def on_numpy(state: State) -> State:
    return right(state)


on_numpy.__module__ = np.__name__


def end(state: State) -> State:
    data = repr((state[VALUE], state.get(OTHER))).encode()
    return state.put(ARTIFACTS, [Artifact(data, "text/plain", 0)])


def detect(header: ModelHeader) -> Detected | None:
    if header.index.get("_class_name") != "Plain":
        return None
    levels = ModelRange(tuple(0.01 * 1.08**t for t in range(100)))
    return Detected("plain", {"layer": 6}, levels, (8, 8), 8, sampler="toy_euler", scheduler="toy_even")


def load(_header: ModelHeader, _detected: Detected) -> Mapping[str, Component]:
    layer = torch.nn.Linear(2, 2)
    return {"layer": Component("layer", "torch", layer, lambda: (torch.ones(1, 2),), lambda: "plain")}


class Plugin:
    """A family of one layer, and a task that has `stage` done."""

    def __init__(self, stage: StageSpec) -> None:
        self.stage = stage

    @hookimpl
    def register_devices(self) -> Sequence[DeviceSpec]:
        return [HERE_SPEC]

    @hookimpl
    def register_models(self) -> Sequence[ModelFamily]:
        return [ModelFamily("plain", detect, load, {})]

    @hookimpl
    def register_stages(self) -> Sequence[StageSpec]:
        return [
            StageSpec("plain.start", start, gives=(VALUE, SECRET)),
            self.stage,
            StageSpec("plain.end", end, needs=(VALUE,), gives=(ARTIFACTS,)),
        ]

    @hookimpl
    def register_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec("plain", ("load", "plain.start", self.stage.name, "plain.end"), formats=("txt",))]


class Wrong(StageSuite):
    """A suite whose stage runs the class's own `run`."""

    fails: ClassVar[str] = ""
    of: ClassVar[type[Options]] = Options
    test_its_module_imports_nothing_heavy: Any = None
    """These stages live in a module that imports torch."""

    @pytest.fixture
    def spec(self) -> StageSpec:
        run = vars(type(self)).get("run", right)
        return StageSpec("plain.stage", run, needs=(JOB, PLACED, VALUE), gives=(OTHER,), options=self.of)

    @pytest.fixture
    def host(self, spec: StageSpec, tmp_path: Path) -> Iterator[Host]:
        with Host([latentry_toy, Plugin(spec)], Config(data_dir=tmp_path / "data")) as host:
            yield host

    @pytest.fixture
    def asked(self, tmp_path: Path) -> Request:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "model_index.json").write_text('{"_class_name": "Plain"}')
        return Request(task="plain", model=str(tmp_path / "model"), seed=1, steps=2)


class TestRight(Wrong):
    """One that undoes its change breaks none."""


class TestRunsOnNumpy(Wrong):
    fails = "test_its_module_imports_nothing_heavy"
    test_its_module_imports_nothing_heavy = StageSuite.test_its_module_imports_nothing_heavy

    run = staticmethod(on_numpy)


class WrongDefault(Options):
    """A default that is out of range."""

    amount: Number = Field(2, ge=0, le=1)


class TestDefaultIsIllegal(Wrong):
    fails = "test_its_options_have_valid_defaults"
    of = WrongDefault


class TestReadsASecret(Wrong):
    fails = "test_it_reads_only_what_it_needs"

    @staticmethod
    def run(state: State) -> State:
        return right(state) if state[SECRET] else state


class TestGivesLess(Wrong):
    fails = "test_it_gives_what_it_declares"

    @staticmethod
    def run(state: State) -> State:
        return state


class TestChangesAList(Wrong):
    fails = "test_the_state_that_it_takes_stays_as_it_was"

    @staticmethod
    def run(state: State) -> State:
        state[VALUE].append(2.0)
        return right(state)


class TestDrawsItsOwnNoise(Wrong):
    fails = "test_the_same_job_gives_the_same"

    @staticmethod
    def run(state: State) -> State:
        return right(state).put(OTHER, random.random())


class TestForgetsItsHook(Wrong):
    """It takes it away only where a job fails."""

    fails = "test_a_finished_job_leaves_the_model_as_it_was"

    @staticmethod
    def run(state: State) -> State:
        handle = placed_module(state, "layer").register_forward_hook(lambda *_: None)

        def undo(kind: Any, *_: Any) -> None:
            if kind:
                handle.remove()

        state[JOB].undos.push(undo)
        return right(state)


class TestUndoesAtTheEndAlone(Wrong):
    """It takes it away only where a job succeeds."""

    fails = "test_a_failed_job_leaves_the_model_as_it_was"

    @staticmethod
    def run(state: State) -> State:
        handle = placed_module(state, "layer").register_forward_hook(lambda *_: None)

        def undo(kind: Any, *_: Any) -> None:
            if not kind:
                handle.remove()

        state[JOB].undos.push(undo)
        return right(state)


class TestRunsTheNextStageItself(Wrong):
    fails = "test_cancelling_ends_the_job"

    @staticmethod
    def run(state: State) -> State:
        state[JOB].plan.stages[-1].run(State().put(VALUE, [1.0]))
        return right(state)
