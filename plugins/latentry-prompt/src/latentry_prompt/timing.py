"""Text that changes while sampling: `[before:after:when]`, `[from:when]`, `[until::when]`, `[odd|even]`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

TOKEN = re.compile(r"(?:\\.|[^\\()\[\]:|]++)++|[()\[\]:|]|\\", re.DOTALL)
SPECIAL = frozenset("()[]:|")
NUMBER = re.compile(r"\s*+[+-]?(?:\d++\.?\d*+|\.\d++)\s*+")
"""What is matched is never given back, so it takes linear time."""

BRACKETS = {"]": "[", ")": "("}
DEEPEST = 50
"""Brackets nested deeper are text."""


@dataclass(frozen=True, slots=True)
class Switch:
    """`before` up to step `when`, then `after`; below 1, `when` is a fraction of the steps."""

    before: "Nodes"
    after: "Nodes"
    when: float

    @property
    def inside(self) -> "tuple[Nodes, ...]":
        """All that it may be."""
        return self.before, self.after

    def at(self, step: int, steps: int) -> "Nodes":
        """What it is at a step."""
        return self.before if step <= self.last(steps) else self.after

    def last(self, steps: int) -> int:
        """The last step of `before`."""
        return int(self.when * steps) if self.when < 1 else int(min(self.when, steps))


@dataclass(frozen=True, slots=True)
class Turns:
    """One of `inside` a step, in turn."""

    inside: "tuple[Nodes, ...]"

    def at(self, step: int, _steps: int) -> "Nodes":
        """What it is at a step."""
        return self.inside[(step - 1) % len(self.inside)]


Node = str | Switch | Turns
Nodes = tuple[Node, ...]


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet: its parts so far, and what stands between them."""

    bracket: str
    parts: list[list[Node]] = field(default_factory=lambda: [[]])
    marks: list[str] = field(default_factory=list)

    def literally(self, end: str = "") -> list[Node]:
        """What it is when it turns out to be text."""
        nodes: list[Node] = [self.bracket, *self.parts[0]]
        for mark, part in zip(self.marks, self.parts[1:], strict=True):
            nodes += [mark, *part]
        return [*nodes, end]

    def closed(self, end: str) -> list[Node]:
        """What it is when it ends."""
        if self.bracket == "[" and self.marks:
            parts = [tuple(part) for part in self.parts]
            if ":" not in self.marks:
                return [Turns(tuple(parts))]
            if self.marks in ([":"], [":", ":"]) and (when := _number(parts[-1])) is not None:
                return [Switch((), parts[0], when) if len(parts) == 2 else Switch(parts[0], parts[1], when)]
        return self.literally(end)


def timeline(text: str, steps: int) -> Sequence[tuple[int, str]]:
    """`text` for each stretch of `steps`: (last step, text). What is no schedule stays as it is."""
    nodes = parse(text)
    lasts, turns = _changes(nodes, steps)
    known: dict[tuple[int, ...], str] = {}
    found: list[tuple[int, str]] = []
    for step in range(1, steps + 1) if turns else sorted({*lasts, steps}):
        alike = (sum(last < step for last in lasts), *((step - 1) % turn for turn in turns))
        if alike not in known:
            known[alike] = _render(nodes, step, steps)
        if found and found[-1][1] == known[alike]:
            found.pop()
        found.append((step, known[alike]))
    return found


def parse(text: str) -> Nodes:
    """The parts of `text` that change, and the text around them."""
    if not ("[" in text and "]" in text and (":" in text or "|" in text)):
        return (text,)  # there can be no schedule
    stack = [_Open("")]
    for token in TOKEN.findall(text):
        if token not in SPECIAL:
            stack[-1].parts[-1].append(token)
        elif token in "[(" and len(stack) <= DEEPEST:
            stack.append(_Open(token))
        elif token in BRACKETS and _is_open(stack, BRACKETS[token]):
            _unwind(stack, BRACKETS[token])
            top = stack.pop()
            stack[-1].parts[-1] += top.closed(token)
        elif token in ":|" and stack[-1].bracket == "[":
            stack[-1].marks.append(token)
            stack[-1].parts.append([])
        else:
            stack[-1].parts[-1].append(token)
    _unwind(stack, "")
    return tuple(stack[0].parts[0])


def _is_open(stack: list[_Open], bracket: str) -> bool:
    return stack[-1].bracket == bracket or any(one.bracket == bracket for one in stack)


def _unwind(stack: list[_Open], bracket: str) -> None:
    """Take what was opened after `bracket` and has not ended for text."""
    while stack[-1].bracket != bracket:
        top = stack.pop()
        stack[-1].parts[-1] += top.literally()


def _number(nodes: Nodes) -> float | None:
    """The number that nodes are; it is one text, since only what is special ends a text."""
    text = nodes[0] if len(nodes) == 1 else None
    return max(float(text), 0.0) if isinstance(text, str) and NUMBER.fullmatch(text) else None


def _changes(nodes: Nodes, steps: int) -> tuple[set[int], set[int]]:
    """The steps after which something switches, and how many options those have that take turns."""
    changing = list(_changing(nodes))
    lasts = {node.last(steps) for node in changing if isinstance(node, Switch)}
    turns = {len(node.inside) for node in changing if isinstance(node, Turns)}
    return {last for last in lasts if 0 < last < steps}, turns


def _changing(nodes: Nodes) -> Iterator[Switch | Turns]:
    for node in nodes:
        if not isinstance(node, str):
            yield node
            yield from _changing(tuple(chain.from_iterable(node.inside)))


def _render(nodes: Nodes, step: int, steps: int) -> str:
    """The text at a step."""
    return "".join(
        [node if isinstance(node, str) else _render(node.at(step, steps), step, steps) for node in nodes]
    )
