"""One trial: `python -m latentry_bench.trial`, started by `latentry bench`.

The task comes as a line of JSON, and the input then stays open for as long as who asked is there. What was
found goes out as lines of JSON, each when it is known, so that a crash takes nothing that was measured.
"""

import base64
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from latentry_bench.counting import LOAD
from latentry_bench.timing import Timed, timed
from latentry_sdk import Config, Event, Host, LatentryError, Request, StageStarted, UserError, parsed
from latentry_sdk.footprints import plain

Values = Mapping[str, Any]


class Trial:
    """Measures one way of running one job."""

    def __init__(self, task: Values, out: int) -> None:
        self._task, self._out = task, out
        options = {**task["config"]["options"], "bench": {"count": True}}
        own = {"executor": "inline", "store": "memory", "options": options}
        self._config = parsed(Config, {**task["config"], **own})
        self._request = parsed(Request, task["request"])

    def run(self) -> None:
        """Measure, then look at what else was asked for."""
        with Host(config=self._config) as host:
            first = timed(host, self._request)
            self._tell("first", seconds=first.seconds)
            runs = [timed(host, self._request) for _ in range(self._task["runs"])]
            self._measured(host, first, runs)
            if self._task["peak"]:
                self._peak(first)
            for text in self._task["suits"]:
                self._suits(host, text)
        if self._task["count"]:  # when the host has let go of the model
            self._work(first)
        self._tell("end")

    def _measured(self, host: Host, first: Timed, runs: Sequence[Timed]) -> None:
        from latentry_bench.peak_memory import peak_memory

        applied = first.result.applied
        account = applied["bench"]
        plan = host.plan(self._request)
        reports = host.devices()
        weights = {part: plain(plan, part, reports).kept for part in plan.placements}
        self._tell(
            "measured",
            pictures=[run.seconds for run in runs],
            steps=[seconds for run in runs for seconds in run.steps],
            steps_in_job=len(first.steps),
            dtypes=dict(applied.get("dtypes", {})),
            optimized=list(applied["optimizers"]),
            notes=list(applied["notes"]),
            changeable=all(values["changeable"] for values in account.values()),
            memory=asdict(peak_memory([values["home"] for values in account.values()])),
            weights=weights,
            calls={part: dict(values["calls"]) for part, values in account.items()},
            picture=base64.b64encode(first.result.artifacts[0].data).decode(),
        )

    def _peak(self, first: Timed) -> None:
        """The peak of where the main component is, or of the processor for what no torch runs."""
        from latentry_bench.peaks import MULTIPLIED, probe

        part = self._task["main"]
        account, dtype = first.result.applied["bench"].get(part), first.result.applied["dtypes"].get(part)
        if account is None:
            return
        where, kind = (account["home"], dtype) if account["changeable"] else ("cpu", "float32")
        if kind in MULTIPLIED:
            self._tell("peak", **asdict(probe(where, kind)), own=account["changeable"])

    def _suits(self, host: Host, text: str) -> None:
        """Whether the device takes an optimizer: it is applied, and the job stops before it is used."""
        cancel = threading.Event()

        def stop(event: Event) -> None:
            if isinstance(event, StageStarted) and event.stage == LOAD:
                cancel.set()

        request = self._request.model_copy(update={"optimizers": tuple(text.split("+"))})
        try:
            host.run(request, on_event=stop, cancel=cancel)
        except UserError as exc:
            self._tell("refused", optimizer=text, why=" ".join(exc.message.split()))
        except Exception:  # it was applied, and the job stopped; or it failed, which its own trial will say
            return

    def _work(self, first: Timed) -> None:
        """The work of the first call of each component that was called."""
        from latentry_bench.work import call_work

        with Host(config=self._config) as host:
            plan = host.plan(self._request)
            if plan.family.kind != "torch":
                return
            components = plan.family.load(plan.header, plan.detected)
        for part, values in first.result.applied["bench"].items():
            for shapes in values["calls"]:
                try:
                    self._tell(
                        "work", part=part, shapes=shapes, **asdict(call_work(components[part], shapes))
                    )
                except Exception as exc:  # an operation that wants numbers cannot be counted without
                    why = " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
                    self._tell("uncounted", part=part, why=why)

    def _tell(self, kind: str, **values: Any) -> None:
        line = json.dumps({"kind": kind, **values}).encode() + b"\n"
        while line:
            line = line[os.write(self._out, line) :]


def main() -> None:
    """Take the task, keep stdout for what is found, and end at once where who asked is gone."""
    out = os.dup(1)
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        Trial(task, out).run()
    except LatentryError as exc:
        os.write(out, json.dumps({"kind": "failed", "why": " ".join(exc.message.split())}).encode() + b"\n")
        os._exit(1)
    os._exit(0)  # at once: taking down an interpreter with torch in it takes seconds


def _end_with_input() -> None:
    with suppress(OSError, ValueError):
        sys.stdin.read()
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with all that it started
    os._exit(1)


if __name__ == "__main__":
    main()
