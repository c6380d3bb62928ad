"""Text that changes while sampling: `[before:after:when]`, `[from:when]`, `[until::when]`, `[odd|even]`.

A set of steps is an integer here, whose bit 0 stands for the first step. What is inside several brackets is
shown at the steps that all of their sets have.
"""

import re
from collections.abc import Iterator, Sequence

from latentry_sdk import InvalidRequest

TOKEN = re.compile(r"(?:\\.|[^\\()\[\]:|]++)++|[()\[\]:|]|\\", re.DOTALL)
NUMBER = re.compile(r"\s*+[+-]?(?:\d++\.?\d*+|\.\d++)\s*+")
"""What is matched is never given back, so it takes linear time."""

OPENS = {"]": "[", ")": "("}
MARKS = frozenset(":|")
TIMED = frozenset({"[:]", "[::]"})
DEEPEST = 50
"""Brackets nested deeper are text."""

LONGEST = 4 << 20
"""Characters of all the texts that one changes into, of which there may be as many as steps."""


def timeline(text: str, steps: int) -> Sequence[tuple[int, str]]:
    """`text` for each stretch of `steps`: (last step, text). What is no schedule stays as it is.

    `InvalidRequest` where all of its texts have more than `LONGEST` characters.
    """
    if not ("[" in text and "]" in text and (":" in text or "|" in text)):
        return [(steps, text)]  # there can be no schedule
    found: list[tuple[int, str]] = []
    for step, now in enumerate(_at_each(*_parts(TOKEN.findall(text), steps), steps), 1):
        if found and found[-1][1] == now:
            found.pop()
        found.append((step, now))
    return found


def _at_each(texts: Sequence[str], sets: Sequence[int], steps: int) -> Sequence[str]:
    """What of the texts is shown at each step; where the same of them are, one string is."""
    different = [*dict.fromkeys(sets)]
    alike = [tuple([each >> step & 1 for each in different]) for step in range(steps)]
    shown: dict[tuple[int, ...], list[str]] = {key: [] for key in alike}
    places = {each: [shown[key] for key in shown if key[index]] for index, each in enumerate(different)}
    if sum(len(text) * len(places[each]) for text, each in zip(texts, sets, strict=True)) > LONGEST:
        raise InvalidRequest(f"schedules make the prompt longer than {LONGEST} characters in all")
    for text, each in zip(texts, sets, strict=True):
        for place in places[each]:
            place.append(text)
    joined = {key: "".join(parts) for key, parts in shown.items()}
    return [joined[key] for key in alike]


def _parts(tokens: Sequence[str], steps: int) -> tuple[Sequence[str], Sequence[int]]:
    """The texts between the tokens of schedules, and the steps at which each is shown."""
    texts, sets = list[str](), list[int]()
    now, around, start = (1 << steps) - 1, list[int](), 0
    for place, shown in enumerate(_schedules(tokens, steps)):
        if shown is None:
            continue
        if start < place:
            texts.append("".join(tokens[start:place]))
            sets.append(now)
        start = place + 1
        if tokens[place] == "[":
            around.append(now)
        now = around.pop() if tokens[place] == "]" else around[-1] & shown
    return [*texts, "".join(tokens[start:])], [*sets, now]


def _schedules(tokens: Sequence[str], steps: int) -> Sequence[int | None]:
    """For each token of a schedule, the steps at which is shown what follows it; None for text."""
    places, sets = list[int](), list[int]()
    known: dict[str, Sequence[int]] = {}
    for own in _brackets(tokens):
        kinds = "".join(map(tokens.__getitem__, own))
        last = tokens[own[-1] - 1] if kinds in TIMED and own[-1] - own[-2] == 2 else ""
        if (key := kinds + last) not in known:
            known[key] = _shown(kinds, last, steps)
        if shown := known[key]:
            places += own
            sets += shown
    found: list[int | None] = [None] * len(tokens)
    for place, each in zip(places, sets, strict=True):
        found[place] = each
    return found


def _brackets(tokens: Sequence[str]) -> Iterator[Sequence[int]]:
    """Each square bracket with colons or bars that ends: the places of it, of those and of its end.

    What is opened in a bracket and not closed there is text; so are colons and bars in round brackets.
    """
    opened, count = list[list[int]](), {"[": 0, "(": 0}
    for place, token in enumerate(tokens):
        if token in count:
            if len(opened) < DEEPEST:
                opened.append([place])
                count[token] += 1
        elif token in MARKS:
            if opened:
                opened[-1].append(place)
        elif token in OPENS and count[OPENS[token]]:
            kind = ""
            while kind != OPENS[token]:
                places = opened.pop()
                kind = tokens[places[0]]
                count[kind] -= 1
            if kind == "[" and len(places) > 1:
                places.append(place)
                yield places


def _shown(kinds: str, last: str, steps: int) -> Sequence[int]:
    """The steps at which is shown what follows each token of a bracket, the last part of which is `last`.

    There are none if it is no schedule.
    """
    every = (1 << steps) - 1
    if ":" not in kinds:
        count = len(kinds) - 1
        turns = [sum(1 << step for step in range(first, steps, count)) for first in range(min(count, steps))]
        return [*turns, *[0] * (count - len(turns) + 1)]
    if not NUMBER.fullmatch(last):
        return ()
    when = max(float(last), 0.0)
    before = (1 << int(when * steps if when < 1 else min(when, steps))) - 1
    return (every - before, 0, 0) if kinds == "[:]" else (before, every - before, 0, 0)
