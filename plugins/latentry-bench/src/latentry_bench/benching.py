"""Try every candidate in a process of its own, the reference first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latentry_bench.candidates import Candidate, Wanted, candidates
from latentry_bench.outcomes import Calls, joined, rows_of, uncounted, work_of
from latentry_bench.process import Outcome, run_trial
from latentry_bench.rows import Row, winner
from latentry_sdk import Host, Plan, Request, UserError
from latentry_sdk.footprints import largest_part

REFERENCE = Candidate("cpu", "float32")
"""The way whose picture the others are compared with, where such a device runs the model's components."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What the user asked for: the job, the ways, how many warm runs, and seconds for each way.

    `approximate` lets a way win that gives another picture.
    """

    request: Request
    wanted: Wanted
    runs: int = 5
    limit: float = 600.0
    reference: bool = True
    approximate: bool = False


@dataclass(frozen=True)
class Found:
    """What was found; `won` is one of the rows, `work` that of one call of each component, by arguments."""

    plan: Plan
    rows: Sequence[Row]
    won: Row | None
    work: Mapping[str, Calls]
    uncounted: Mapping[str, str]
    reference: str | None


def benched(host: Host, asked: Asked, tell: Tell) -> Found:
    """Measure; raises a `UserError` where the job itself is wrong, or nothing is there to run it."""
    plain: dict[str, Any] = {"memory": "off", "options": {}}
    plan = host.plan(asked.request.model_copy(update=plain))
    return Bench(host, asked, tell, plan).run()


@dataclass
class Bench:
    """The candidates of one job, and what has been found so far.

    `_refused` has the reasons of devices that do not take an optimizer, `_tried` the devices that were asked.
    """

    host: Host
    asked: Asked
    tell: Tell
    plan: Plan
    _outcomes: dict[Candidate, Outcome] = field(default_factory=dict)
    _refused: dict[tuple[str, str], str] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)

    def run(self) -> Found:
        """Every candidate's row, in their order; then the share of the roofline, from all that was probed."""
        ways = candidates(self.host, self.plan, self.asked.wanted)
        if REFERENCE not in ways and self._has_reference():
            self.tell("the reference picture")
            self._outcomes[REFERENCE] = self._trial(REFERENCE, [], runs=0)
        for number, way in enumerate(sorted(ways, key=lambda way: way != REFERENCE), 1):
            self._try(way, ways, f"{number}/{len(ways)} {way}")
        rows, won = self._confirmed(ways)
        is_compared = REFERENCE in self._outcomes and self._outcomes[REFERENCE].find("measured")
        return Found(
            plan=self.plan,
            rows=rows,
            won=won,
            work=work_of(self._outcomes.values()),
            uncounted=uncounted(self._outcomes.values()),
            reference=str(REFERENCE) if is_compared else None,
        )

    def _confirmed(self, ways: Sequence[Candidate]) -> tuple[Sequence[Row], Row | None]:
        """The rows and the one that wins: not by optimizers that were tried while the machine had less to do.

        For that, the same way without them is measured once more.
        """
        confirmed: set[Candidate] = set()
        while True:
            rows = rows_of(ways, self._outcomes, self._refused, REFERENCE, largest_part(self.plan))
            won = winner(rows, approximate=self.asked.approximate)
            plain = won.candidate.plain if won else None
            if won is None or plain is None or plain == won.candidate or plain in confirmed:
                return rows, won
            confirmed.add(plain)
            if plain in ways and plain in self._outcomes:
                self.tell(f"once more {plain}")
                again = self._trial(plain, [], runs=self.asked.runs)
                self._outcomes[plain] = joined(self._outcomes[plain], again)

    def _has_reference(self) -> bool:
        spec = self.host.registry.devices.get(REFERENCE.device)
        is_able = spec is not None and self.plan.family.kind in spec.kinds
        return self.asked.reference and is_able and self.host.devices()[REFERENCE.device].available

    def _try(self, way: Candidate, ways: Sequence[Candidate], told: str) -> None:
        if way.why or (way.device, way.optimizer) in self._refused:
            return
        plain = way.plain
        if way != plain and (before := self._outcomes.get(plain)) and before.is_lost:
            self._outcomes[way] = Outcome(
                [{"kind": "failed", "why": f"not tried, as {plain} {before.problem}"}]
            )
            return
        self.tell(told)
        suits: list[str] = []
        if not way.optimizer and way.device not in self._tried:
            self._tried.add(way.device)  # the first way of a device tells what it takes
            suits = [one.optimizer for one in ways if one.optimizer and one.device == way.device]
        outcome = self._outcomes[way] = self._trial(way, [*dict.fromkeys(suits)], runs=self.asked.runs)
        for message in outcome.all("refused"):
            self._refused[way.device, message["optimizer"]] = message["why"]

    def _trial(self, way: Candidate, suits: Sequence[str], *, runs: int) -> Outcome:
        request = way.request(self.asked.request, [*self.host.registry.devices])
        try:
            self.host.plan(request)
        except UserError as exc:
            return Outcome([{"kind": "failed", "why": exc.message}])
        task = {
            "config": self.host.config.model_dump(mode="json"),
            "request": request.model_dump(mode="json"),
            "main": largest_part(self.plan),
            "runs": runs,
            "suits": suits,
            "peak": runs > 0 and self.plan.family.kind == "torch",
            "count": not work_of(self._outcomes.values()),
        }
        return run_trial(task, self.asked.limit)
