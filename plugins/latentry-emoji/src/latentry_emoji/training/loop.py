"""Run training steps with a progress bar, a log and checkpoints, so that a killed run goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.progress import track

State = dict[str, Any]


class Trainee(Protocol):
    """What is trained: its steps depend on their index and its state alone, never on how often it resumed."""

    def step(self, index: int) -> float:
        """Take one step and return its loss."""
        ...

    def scores(self) -> dict[str, float]:
        """Measure on held-out scenes."""
        ...

    def state(self) -> State:
        """Everything the next step depends on, as `torch.save` takes it."""
        ...

    def restore(self, state: State) -> None:
        """Take over what `state` returned."""
        ...


@dataclass(frozen=True)
class Schedule:
    """A learning rate that warms up, stays at its peak and falls linearly to zero over the last steps.

    Until the fall begins, `steps` can be changed between two runs of the same training.
    """

    steps: int
    peak: float
    warm_up: int = 100
    fall: float = 0.35

    def rate(self, index: int) -> float:
        """The learning rate of step `index`, counted from 0."""
        left = (self.steps - index) / max(self.steps * self.fall, 1)
        return self.peak * min((index + 1) / self.warm_up, left, 1.0)


@dataclass(frozen=True)
class Run:
    """Where a training run keeps its checkpoint and log, and how often it writes them."""

    folder: Path
    steps: int
    save_seconds: float = 300
    score_steps: int = 1000
    log_steps: int = 50

    @property
    def checkpoint(self) -> Path:
        """The file with the latest state."""
        return self.folder / "checkpoint.pt"

    @property
    def log(self) -> Path:
        """One JSON object a line: step, seconds trained, mean loss and, now and then, scores."""
        return self.folder / "log.jsonl"


def new_optimizer(weights: Iterable[torch.Tensor]) -> torch.optim.AdamW:
    """The optimizer of both trainings."""
    return torch.optim.AdamW(weights, betas=(0.9, 0.99), weight_decay=0.01, fused=True)


def train(trainee: Trainee, run: Run) -> None:
    """Train from the latest checkpoint, or the start, up to `run.steps`; a finished run returns at once."""
    run.folder.mkdir(parents=True, exist_ok=True)
    first, trained_before = resume(trainee, run)
    started = saved = time.monotonic()
    losses: list[float] = []
    for index in track(range(first, run.steps), run.folder.name, total=run.steps, completed=first):
        losses.append(trainee.step(index))
        done = index + 1
        seconds = trained_before + time.monotonic() - started
        if done % run.log_steps == 0 or done == run.steps:
            scores = trainee.scores() if done % run.score_steps == 0 or done == run.steps else {}
            _append(
                run.log,
                {"step": done, "seconds": round(seconds), "loss": sum(losses) / len(losses), **scores},
            )
            losses.clear()
        if time.monotonic() - saved > run.save_seconds or done == run.steps:
            save({"step": done, "seconds": seconds, "trainee": trainee.state()}, run.checkpoint)
            saved = time.monotonic()


def resume(trainee: Trainee, run: Run) -> tuple[int, float]:
    """Restore the latest checkpoint; the next step's index and the seconds trained so far."""
    if not run.checkpoint.is_file():
        run.log.unlink(missing_ok=True)
        return 0, 0.0
    saved = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
    trainee.restore(saved["trainee"])
    _forget_after(run.log, saved["step"])
    return saved["step"], saved["seconds"]


def save(state: State, file: Path) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old one or the new one whole."""
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)


def read_log(file: Path) -> list[dict[str, float]]:
    """The entries of a run's log, oldest first; none when there is no log."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def _append(log: Path, entry: dict[str, float]) -> None:
    with log.open("a") as stream:
        stream.write(json.dumps({key: round(value, 5) for key, value in entry.items()}) + "\n")


def _forget_after(log: Path, step: int) -> None:
    """Drop what was logged after the checkpoint: those steps are taken again."""
    kept = [json.dumps(entry) + "\n" for entry in read_log(log) if entry["step"] <= step]
    log.write_text("".join(kept))
