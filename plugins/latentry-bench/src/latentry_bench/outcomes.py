"""Make rows of what trials said."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from latentry_bench.candidates import Candidate
from latentry_bench.pictures import difference
from latentry_bench.process import Message, Outcome
from latentry_bench.roofline import Peak, Work, best
from latentry_bench.rows import Row, spread
from latentry_sdk.footprints import BYTES

Calls = Mapping[str, Mapping[str, int]]
"""The work of one call of a component, `flops` and `values`, by its arguments' types and shapes."""

Outcomes = Mapping[Candidate, Outcome]
Refused = Mapping[tuple[str, str], str]


def rows_of(
    ways: Sequence[Candidate], outcomes: Outcomes, refused: Refused, reference: Candidate, part: str
) -> list[Row]:
    """A row for each candidate; `part` is the component whose work in a step has a roofline."""
    work = work_of(outcomes.values()).get(part, {})
    picture = _picture(outcomes[reference]) if reference in outcomes else None
    rows = []
    for way in ways:
        if way.why:
            rows.append(Row(way, "failed", way.why))
        elif way not in outcomes:
            rows.append(Row(way, "unfit", refused[way.device, way.optimizer]))
        else:
            rows.append(_row(way, outcomes[way], picture, work, part))
    return _with_best_peaks(rows)


def joined(before: Outcome, again: Outcome) -> Outcome:
    """The outcome with the times of a second trial of the same beside its own, if it has any."""
    found = again.find("measured")
    if found is None:
        return before
    messages = [
        {**said, **{name: [*said[name], *found[name]] for name in ("pictures", "steps")}}
        if said["kind"] == "measured"
        else said
        for said in before.messages
    ]
    return replace(before, messages=messages)


def work_of(outcomes: Iterable[Outcome]) -> dict[str, Calls]:
    """What was counted, by component."""
    work: dict[str, dict[str, Mapping[str, int]]] = {}
    for outcome in outcomes:
        for said in outcome.all("work"):
            counted = {"flops": said["flops"], "values": said["values"]}
            work.setdefault(said["part"], {})[said["shapes"]] = counted
    return {**work}


def uncounted(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Why the work of a component was not counted."""
    return {said["part"]: said["why"] for outcome in outcomes for said in outcome.all("uncounted")}


def _with_best_peaks(rows: Sequence[Row]) -> list[Row]:
    """The same with one peak for all rows whose peaks are of the same device and type."""
    peaks: dict[tuple[str, str], list[Peak]] = {}
    for row in rows:
        if row.peak:
            peaks.setdefault((row.peak.where, row.peak.dtype), []).append(row.peak)
    return [
        replace(row, peak=best(peaks[row.peak.where, row.peak.dtype])) if row.peak else row for row in rows
    ]


def _row(way: Candidate, outcome: Outcome, picture: bytes | None, work: Calls, part: str) -> Row:
    first, found = outcome.find("first"), outcome.find("measured")
    seconds = first["seconds"] if first else None
    if found is None:
        failed = outcome.find("failed")
        why = failed["why"] if failed else outcome.problem
        return Row(way, "timeout" if outcome.is_lost else "failed", why, seconds)
    mine, peak = _picture(outcome), outcome.find("peak")
    return Row(
        candidate=way,
        status="measured",
        why=outcome.problem,
        first=seconds,
        picture=spread(found["pictures"]),
        step=spread(found["steps"]),
        memory=found["memory"]["bytes"],
        memory_of=found["memory"]["of"],
        difference=difference(mine, picture) if mine and picture else None,
        work=_step_work(found, work, part),
        peak=Peak(peak["flops"], peak["bandwidth"], peak["where"], peak["dtype"]) if peak else None,
        own_peak=bool(peak and peak["own"]),
        changeable=found["changeable"],
        optimized=tuple(found["optimized"]),
        dtypes=found["dtypes"],
        notes=tuple(found["notes"]),
    )


def _step_work(found: Message, work: Calls, part: str) -> Work | None:
    """The component's calls in one step: FLOPs; and bytes of its weights and of what passes, for each.

    None where a call was not counted.
    """
    calls, steps = found["calls"].get(part, {}), found["steps_in_job"]
    if not calls or not steps or calls.keys() - work.keys():
        return None
    width = BYTES.get(found["dtypes"].get(part, ""), 4)
    flops = sum(work[shapes]["flops"] * count for shapes, count in calls.items())
    moved = sum((found["weights"][part] + work[shapes]["values"] * width) * n for shapes, n in calls.items())
    return Work(flops / steps, moved / steps)


def _picture(outcome: Outcome) -> bytes | None:
    found = outcome.find("measured")
    return base64.b64decode(found["picture"]) if found else None
