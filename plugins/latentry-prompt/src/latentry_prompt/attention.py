"""Weights in brackets, as AUTOMATIC1111 reads them: `(more)`, `[less]`, `(so much:1.3)`, `BREAK`."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, groupby
from math import exp, log
from operator import add, itemgetter

from latentry_sdk import Prompt, Span

STEP = log(1.1)
LARGEST = 1000.0
LOG_LARGEST = log(LARGEST)
"""No weight is larger: a hundred brackets would make any text encoder's output infinite."""

SMALLEST = -20.0
"""The logarithm of a weight that is 0 in the eight digits that weights have."""

ESCAPABLE = frozenset("\\()[]:")
ESCAPED = r"\\[\\()\[\]:]"
WEIGHT = r":\s*+[+-]?(?:\d++\.?\d*+|\.\d++)\s*+\)"
"""A weight, with the round bracket it ends. What is matched is never given back, so it takes linear time."""

PLAIN = rf"(?:[^\\()\[\]:]++|(?!{ESCAPED})\\|(?!{WEIGHT}):)++"
TOKEN = re.compile(rf"{PLAIN}|\(+|\)+|\[+|\]+|{ESCAPED}|{WEIGHT}")
BREAK = re.compile(r"\bBREAK\b")
OPENS = {")": "(", "]": "["}
STEPS = {"(": 1, "[": -1}


@dataclass
class _Reader:
    """Text so far, and what multiplies each: its `levels` in steps of 1.1, and explicit weights.

    `open` has the brackets that are not closed, by kind: (index of the first text inside, how many).
    """

    texts: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    open: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {"(": [], "[": []})
    explicit: list[tuple[int, int, float]] = field(default_factory=list)

    def read(self, text: str) -> None:
        """Take in a prompt. A bracket counts from where it opens, so one without an end needs no more."""
        texts, levels, level = self.texts, self.levels, 0
        for token in TOKEN.findall(text):
            kind = token[0]
            if kind in STEPS:
                self.open[kind].append((len(texts), len(token)))
                level += STEPS[kind] * len(token)
                continue
            if kind in OPENS:
                closed = self.close(OPENS[kind], len(token))
                level -= STEPS[OPENS[kind]] * closed
                token = token[closed:]
            elif kind == ":" and token[-1] == ")" and self.open["("]:
                self.explicit.append((self.innermost(), len(texts), float(token[1:-1])))
                level -= 1
                continue
            elif kind == "\\" and token[1:] in ESCAPABLE:
                token = token[1]
            if token:
                texts.append(token)
                levels.append(level)

    def close(self, kind: str, count: int) -> int:
        """Close the last `count` brackets of a kind; gives how many of them were open."""
        stack, left = self.open[kind], count
        while left and stack:
            start, opened = stack.pop()
            if opened > left:
                stack.append((start, opened - left))
            left -= min(left, opened)
        return count - left

    def innermost(self) -> int:
        """Close the last round bracket; gives the index of the first text inside."""
        start, count = self.open["("].pop()
        if count > 1:
            self.open["("].append((start, count - 1))
        return start

    def weights(self) -> list[float]:
        """The weight of each text: the product of all that is around it."""
        if not self.explicit:
            return [_weight(level * STEP) for level in self.levels]
        count = len(self.texts) + 1
        sizes, steps, signs, zeros = [0.0] * count, [0] * count, [0] * count, [0] * count
        for start, end, weight in self.explicit:
            for index, way in ((start, 1), (end, -1)):
                sizes[index] += way * (log(abs(weight)) if weight else 0.0)
                steps[index] -= way  # an explicit weight stands in for its bracket's step
                signs[index] += way * (weight < 0)
                zeros[index] += way * (weight == 0)
        levels = map(add, accumulate(steps), self.levels)
        logs = (size + level * STEP for size, level in zip(accumulate(sizes), levels, strict=False))
        marks = zip(accumulate(signs), accumulate(zeros), strict=True)
        return [
            0.0 if zero else _weight(log_weight) * (-1 if sign % 2 else 1)
            for log_weight, (sign, zero) in zip(logs, marks, strict=False)
        ]


def weighted(text: str) -> Prompt:
    """The chunks of `text`, split at BREAK, neighbours of one weight joined. Takes time linear in its length.

    A bracket that is never closed reaches to the end; a closing one that opens nowhere is text.
    """
    reader = _Reader()
    reader.read(text)
    return _chunks(reader.texts, reader.weights())


@lru_cache(1024)
def _weight(size: float) -> float:
    """The weight whose logarithm this is, in its bounds."""
    if size >= LOG_LARGEST:
        return LARGEST
    return round(exp(size), 8) if size > SMALLEST else 0.0


def _chunks(texts: list[str], weights: list[float]) -> Prompt:
    chunks: list[list[Span]] = [[]]
    for weight, run in groupby(zip(weights, texts, strict=True), key=itemgetter(0)):
        text = "".join([text for _, text in run])
        if "BREAK" not in text:
            chunks[-1].append(Span(text, weight))
            continue
        parts = BREAK.split(text)
        for index, part in enumerate(parts):
            if index:
                chunks.append([])
                part = part.lstrip()
            if index < len(parts) - 1:
                part = part.rstrip()
            if part:
                chunks[-1].append(Span(part, weight))
    return tuple(map(tuple, chunks))
