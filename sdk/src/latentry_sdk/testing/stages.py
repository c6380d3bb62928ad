"""What a stage must do: keep to what it declares, change no state, and undo what it changed in a model."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from latentry_sdk import (
    JOB,
    PLACED,
    SEEDS,
    SIGMAS,
    SIZE,
    Cancelled,
    Config,
    Host,
    LatentryError,
    Plan,
    Request,
    Result,
    StageSpec,
    State,
)
from latentry_sdk.testing.fingerprints import changes
from latentry_sdk.testing.imports import HEAVY, heavy_imports
from latentry_sdk.testing.stages_jobs import job_with
from latentry_sdk.testing.stages_watch import Seen, around, modules, prints, run_plan, watching

START = frozenset({JOB.name, SEEDS.name, SIGMAS.name, SIZE.name})
"""Keys that are there from the start, and need not be declared."""

MOST = 5
"""Names that a message lists."""


class StageSuite:
    """Subclass this and override the fixture `spec`, and `asked` or `options`.

    The stage is run as part of a job, so something must be installed that has it done: the fixture `asked`
    gives a request for it, of few steps. Without one, the first is taken of an installed task with an
    installed model that uses the stage. `options` are the stage's own: choose them so that it does its work.
    """

    options: Mapping[str, Any] = {}
    heavy: frozenset[str] = HEAVY

    @pytest.fixture
    def spec(self) -> StageSpec:
        """The stage under test."""
        raise NotImplementedError("override the fixture `spec`")

    @pytest.fixture(scope="class")
    def host(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
        """The host that runs the jobs, with everything that is installed."""
        with Host(config=Config(data_dir=tmp_path_factory.mktemp("data"))) as host:
            yield host

    @pytest.fixture
    def asked(self, host: Host, spec: StageSpec) -> Request:
        """A job that has the stage; skips where nothing installed uses it."""
        if (found := job_with(host, spec, self.options)) is None:
            pytest.skip("no installed task uses it with an installed model")
        return found

    @pytest.fixture
    def plan(self, host: Host, asked: Request, spec: StageSpec) -> Plan:
        """The job, planned."""
        plan = host.plan(asked)
        assert spec.name in {stage.name for stage in plan.stages}
        return plan

    @pytest.fixture(scope="class")
    def kept(self) -> "WeakKeyDictionary[Host, dict[str, Seen]]":
        """What was seen of stages, by host and name, so that a job is not run for each test."""
        return WeakKeyDictionary()

    @pytest.fixture
    def seen(
        self, host: Host, plan: Plan, spec: StageSpec, kept: "WeakKeyDictionary[Host, dict[str, Seen]]"
    ) -> Seen:
        """What the stage did in a job, and what came of the job."""
        known = kept.setdefault(host, {})
        if spec.name not in known:
            known[spec.name] = seen = Seen()
            try:
                seen.result = run_plan(host, watching(plan, spec, seen))
            except LatentryError as exc:
                seen.error = str(exc)
        return known[spec.name]

    @pytest.fixture
    def result(self, seen: Seen) -> Result:
        """What the job gave; skips where it failed, which another test tells."""
        if seen.result is None:
            pytest.skip(f"its job fails: {seen.error}")
        return seen.result

    def test_its_module_imports_nothing_heavy(self, spec: StageSpec) -> None:
        """It is loaded wherever plugins are."""
        run: Any = spec.run
        while isinstance(run, partial):
            run = run.func
        assert not heavy_imports(f"import {run.__module__}", self.heavy)

    def test_its_options_have_valid_defaults(self, spec: StageSpec) -> None:
        """What it declares can be left out, and survives being written and read."""
        defaults = spec.options()
        assert type(defaults).model_validate(defaults.model_dump()) == defaults

    def test_it_reads_only_what_it_needs(self, spec: StageSpec, seen: Seen) -> None:
        """What it cannot do without is declared, or there from the start."""
        undeclared = seen.read - START - {key.name for key in spec.needs}
        assert not undeclared, f"it reads {sorted(undeclared)}"

    def test_it_gives_what_it_declares(self, spec: StageSpec, seen: Seen) -> None:
        """A state with all of it, with which the job comes to its end."""
        assert isinstance(seen.gave, State), seen.error
        missing = [key.name for key in spec.gives if key not in seen.gave]
        assert not missing, f"it does not give {missing}"
        assert not seen.error, seen.error

    def test_the_state_that_it_takes_stays_as_it_was(self, seen: Seen) -> None:
        """Pictures, latents and lists in it are replaced, not changed."""
        changed = [name for name in seen.before if seen.before[name] != seen.after.get(name)]
        assert not changed, f"it changes {changed}"

    def test_the_same_job_gives_the_same(
        self, host: Host, plan: Plan, spec: StageSpec, result: Result
    ) -> None:
        """To the bit, also right after it."""
        again = run_plan(host, watching(plan, spec, Seen()))
        same = [one.data for one in again.artifacts] == [one.data for one in result.artifacts]
        assert same, "the second time other files came out"

    @pytest.mark.usefixtures("result")
    def test_a_finished_job_leaves_the_model_as_it_was(self, host: Host, plan: Plan, spec: StageSpec) -> None:
        """Weights, hooks, processors and attributes, to the bit."""
        left = self.left(host, plan, spec, lambda after: after)
        assert not left, f"it leaves {left[:MOST]}"

    @pytest.mark.usefixtures("result")
    def test_a_failed_job_leaves_the_model_as_it_was(self, host: Host, plan: Plan, spec: StageSpec) -> None:
        """The undos run however the job ends."""

        def fail(_after: State) -> State:
            raise RuntimeError("the next stage fails")

        left = self.left(host, plan, spec, fail)
        assert not left, f"it leaves {left[:MOST]}"

    @pytest.mark.usefixtures("result")
    def test_cancelling_ends_the_job(self, host: Host, plan: Plan, spec: StageSpec) -> None:
        """At the stage, or before any that follows."""
        cancel, gone_on = threading.Event(), list[str]()

        def run(stage: Callable[[State], State], state: State) -> State:
            cancel.set()
            return stage(state)

        stopped = around(plan, spec, run)
        names = [stage.name for stage in plan.stages]
        for other in plan.stages:
            if other.name not in names[: names.index(spec.name) + 1]:
                stopped = around(stopped, other, partial(_tell, cancel, gone_on, other.name))
        with suppress(Cancelled):
            run_plan(host, stopped, cancel=cancel)
            assert plan.stages[-1].name == spec.name, "the job came to its end"
        assert not gone_on, f"{gone_on} ran after it"

    def left(self, host: Host, plan: Plan, spec: StageSpec, then: Callable[[State], State]) -> list[str]:
        """What a job leaves changed in the modules that were loaded for it, if `then` follows the stage.

        Another job must have run before: some models set themselves up at their first call.
        """
        found: dict[str, Any] = {}
        before: dict[str, Any] = {}

        def load(stage: Callable[[State], State], state: State) -> State:
            after = stage(state)
            found.update(modules(after))
            before.update(prints(found))
            return after

        watched = around(plan, spec, lambda stage, state: then(stage(state)))
        for loading in [stage for stage in plan.stages if PLACED in stage.gives][:1]:
            watched = around(watched, loading, load)
        with suppress(Exception):
            run_plan(host, watched)
        return changes(before, prints(found))


def _tell(
    cancel: threading.Event, told: list[str], name: str, stage: Callable[[State], State], state: State
) -> State:
    """Run a stage, and write down its name if the job was cancelled before."""
    if cancel.is_set():
        told.append(name)
    return stage(state)
