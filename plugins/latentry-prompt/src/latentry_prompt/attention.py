"""Weights in brackets, as AUTOMATIC1111 reads them: `(more)`, `[less]`, `(so much:1.3)`, `BREAK`."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, groupby
from math import exp, log

from latentry_sdk import Prompt, Span

STEP = log(1.1)
LARGEST = 1000.0
LOG_LARGEST = log(LARGEST)
"""No weight is larger: a hundred brackets would make any text encoder's output infinite."""

ESCAPED = r"\\[\\()\[\]:]"
WEIGHT = r":\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)"
"""A weight, with the round bracket it ends."""

PLAIN = rf"(?:[^\\()\[\]:]|(?!{ESCAPED})\\|(?!{WEIGHT}):)+"
TOKEN = re.compile(rf"{ESCAPED}|{WEIGHT}|\(+|\)+|\[+|\]+|{PLAIN}")
BREAK = re.compile(r"\bBREAK\b")
OPENS = {")": "(", "]": "["}
STEPS = {"(": 1, "[": -1}


@dataclass
class _Reader:
    """Text so far, and what multiplies it: steps of 1.1 by where they begin and end, and explicit weights.

    `open` has the brackets that are not closed, by kind: (index of the first text inside, how many).
    """

    texts: list[str] = field(default_factory=list)
    open: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {"(": [], "[": []})
    steps: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    explicit: list[tuple[int, int, float]] = field(default_factory=list)

    def token(self, token: str) -> None:
        kind = token[0]
        if kind in STEPS:
            self.open[kind].append((len(self.texts), len(token)))
        elif kind in OPENS:
            left = self.close(OPENS[kind], len(token))
            if left:
                self.texts.append(kind * left)
        elif kind == ":" and token[-1] == ")" and self.open["("]:
            start, count = self.open["("].pop()
            if count > 1:
                self.open["("].append((start, count - 1))
            self.explicit.append((start, len(self.texts), float(token[1:-1])))
        else:
            self.texts.append(token[1:] if kind == "\\" and len(token) > 1 else token)

    def close(self, kind: str, count: int) -> int:
        """Close the last `count` brackets of a kind; gives how many of them were never opened."""
        stack = self.open[kind]
        while count and stack:
            start, opened = stack.pop()
            closed = min(count, opened)
            self.steps[start] += STEPS[kind] * closed
            self.steps[len(self.texts)] -= STEPS[kind] * closed
            if opened > closed:
                stack.append((start, opened - closed))
            count -= closed
        return count

    def weights(self) -> list[float]:
        """The weight of each text: the product of all that is around it."""
        sizes, signs = [0.0] * (len(self.texts) + 1), [0] * (len(self.texts) + 1)
        zeros = [0] * (len(self.texts) + 1)
        for start, end, weight in self.explicit:
            for index, way in ((start, 1), (end, -1)):
                sizes[index] += way * (log(abs(weight)) if weight else 0.0)
                signs[index] += way * (weight < 0)
                zeros[index] += way * (weight == 0)
        steps = accumulate(self.steps.get(index, 0) for index in range(len(self.texts)))
        return list(map(_weight, accumulate(sizes), steps, accumulate(signs), accumulate(zeros)))


def weighted(text: str) -> Prompt:
    """The chunks of `text`, split at BREAK, neighbours of one weight joined. Takes time linear in its length.

    A bracket that is never closed reaches to the end; a closing one that opens nowhere is text.
    """
    reader = _Reader()
    for token in TOKEN.findall(text):
        reader.token(token)
    for kind in STEPS:
        reader.close(kind, len(text))
    return _chunks(reader.texts, reader.weights())


@lru_cache(1024)
def _weight(size: float, steps: int, negatives: int, zeros: int) -> float:
    if zeros:
        return 0.0
    weight = round(min(exp(min(size + steps * STEP, LOG_LARGEST)), LARGEST), 8)
    return -weight if negatives % 2 else weight


def _chunks(texts: list[str], weights: list[float]) -> Prompt:
    chunks: list[list[Span]] = [[]]
    for weight, run in groupby(zip(texts, weights, strict=True), key=lambda pair: pair[1]):
        parts = BREAK.split("".join(text for text, _ in run))
        for index, part in enumerate(parts):
            if index:
                chunks.append([])
                part = part.lstrip()
            if index < len(parts) - 1:
                part = part.rstrip()
            if part:
                chunks[-1].append(Span(part, weight))
    return tuple(map(tuple, chunks))
