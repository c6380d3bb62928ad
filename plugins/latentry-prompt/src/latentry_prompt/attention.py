"""Weights in brackets, as AUTOMATIC1111 reads them: `(more)`, `[less]`, `(so much:1.3)`, `BREAK`."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, compress, pairwise
from math import exp, log
from operator import add, mul, ne

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


Explicit = tuple[int, int, float]
"""A weight in numbers: the index of the first text that has it, of the first after it, and the weight."""


def weighted(text: str) -> Prompt:
    """The chunks of `text`, split at BREAK, neighbours of one weight joined. Takes time linear in its length.

    A bracket that is never closed reaches to the end; a closing one that opens nowhere is text.
    """
    texts, levels, explicit = _read(text)
    weights = _sizes(_logarithms(levels, explicit))
    if any(weight <= 0 for *_, weight in explicit):
        weights = [*map(mul, weights, _signs(len(texts), explicit))]
    return _chunks(texts, weights)


def _read(text: str) -> tuple[list[str], list[int], list[Explicit]]:
    """The texts, how many steps of 1.1 each is up, and the explicit weights, in the order in which they end.

    A bracket counts from where it opens, so one without an end needs no more. A round one is known by the
    index of the first text inside, since a weight may end it; of the square ones their number is enough.
    """
    texts, levels, explicit = list[str](), list[int](), list[Explicit]()
    rounds, squares = list[int](), 0
    for token in TOKEN.findall(text):
        if (kind := token[0]) not in ESCAPABLE:
            texts.append(token)
            levels.append(len(rounds) - squares)
            continue
        if kind == "[":
            squares += len(token)
            continue
        if kind == "(":
            rounds += [len(texts)] * len(token)
            continue
        closed = 0
        if kind == "]":
            closed = min(len(token), squares)
            squares -= closed
        elif kind == ")":
            closed = min(len(token), len(rounds))
            del rounds[len(rounds) - closed :]
        elif kind == ":" and token[-1] == ")" and rounds:
            explicit.append((rounds.pop(), len(texts), float(token[1:-1])))
            continue
        elif kind == "\\" and token[1:] in ESCAPABLE:
            closed = 1
        if rest := token[closed:]:
            texts.append(rest)
            levels.append(len(rounds) - squares)
    return texts, levels, explicit


def _logarithms(levels: Sequence[int], explicit: Sequence[Explicit]) -> list[float]:
    """The logarithm of the size of each text's weight: the sum of all that is around it."""
    if not explicit:
        return [level * STEP for level in levels]
    sizes, steps = [0.0] * (len(levels) + 1), [0] * (len(levels) + 1)
    for start, end, weight in explicit:
        size = log(abs(weight)) if weight else 0.0
        sizes[start] += size
        sizes[end] -= size
        steps[start] -= 1  # an explicit weight stands in for its bracket's step
        steps[end] += 1
    whole = map(add, accumulate(steps), levels)
    return [size + level * STEP for size, level in zip(accumulate(sizes), whole, strict=False)]


def _signs(count: int, explicit: Sequence[Explicit]) -> list[int]:
    """What multiplies the weights of `count` texts: 0 within a zero, -1 within an odd number of negatives."""
    negatives, zeros = [0] * (count + 1), [0] * (count + 1)
    for start, end, weight in explicit:
        for counted, found in ((negatives, weight < 0), (zeros, weight == 0)):
            counted[start] += found
            counted[end] -= found
    pairs = zip(accumulate(negatives), accumulate(zeros), strict=True)
    return [0 if zero else -1 if negative % 2 else 1 for negative, zero in pairs]


def _sizes(logarithms: Sequence[float]) -> list[float]:
    """The sizes that these are the logarithms of, in their bounds."""
    low, high = SMALLEST, LOG_LARGEST
    bounded = [low if size < low else high if size > high else size for size in logarithms]
    known = {size: round(exp(size), 8) for size in set(bounded)}
    return [known[size] for size in bounded]


def _chunks(texts: Sequence[str], weights: Sequence[float]) -> Prompt:
    """Neighbours of one weight are joined first, since a BREAK may lie across them."""
    starts = [*compress(range(len(texts)), map(ne, weights, [None, *weights]))]
    chunks: list[list[Span]] = [[]]
    span = cache(Span)  # one for all alike
    for start, end in pairwise([*starts, len(texts)]):
        text, weight = "".join(texts[start:end]), weights[start]
        if "BREAK" not in text:
            chunks[-1].append(span(text, weight))
            continue
        parts = BREAK.split(text)
        for index, part in enumerate(parts):
            if index:
                chunks.append([])
                part = part.lstrip()
            if index < len(parts) - 1:
                part = part.rstrip()
            if part:
                chunks[-1].append(span(part, weight))
    return tuple(map(tuple, chunks))
