"""Text that changes while sampling: `[before:after:when]`, `[from:when]`, `[until::when]`, `[odd|even]`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

TOKEN = re.compile(r"\\.|[()\[\]:|]|[^\\()\[\]:|]+|\\", re.DOTALL)
SPECIAL = frozenset("()[]:|")
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*")
DEEPEST = 50
"""Brackets nested deeper are text."""


@dataclass(frozen=True)
class Switch:
    """`before` up to step `when`, then `after`; below 1, `when` is a fraction of the steps."""

    before: "Nodes"
    after: "Nodes"
    when: float

    def last(self, steps: int) -> int:
        """The last step of `before`."""
        return int(self.when * steps) if self.when < 1 else int(min(self.when, steps))


@dataclass(frozen=True)
class Turns:
    """One of `options` a step, in turn."""

    options: tuple["Nodes", ...]


Node = str | Switch | Turns
Nodes = tuple[Node, ...]


@dataclass
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


def timeline(text: str, steps: int) -> Sequence[tuple[int, str]]:
    """`text` for each stretch of `steps`: (last step, text). What is no schedule stays as it is."""
    nodes = parse(text)
    found: list[tuple[int, str]] = []
    for step in _changes(nodes, steps):
        now = "".join(_render(nodes, step, steps))
        if found and found[-1][1] == now:
            found.pop()
        found.append((step, now))
    return found


def parse(text: str) -> Nodes:
    """The parts of `text` that change, and the text around them."""
    if "[" not in text or "]" not in text:
        return (text,)
    stack = [_Open("")]
    for token in TOKEN.findall(text):
        if token not in SPECIAL:
            stack[-1].parts[-1].append(token)
        elif token in ("[", "(") and len(stack) <= DEEPEST:
            stack.append(_Open(token))
        elif token in ("]", ")") and any(_closes(token, one.bracket) for one in stack):
            while not _closes(token, stack[-1].bracket):
                top = stack.pop()
                stack[-1].parts[-1] += top.literally()
            top = stack.pop()
            stack[-1].parts[-1] += _closed(top, token)
        elif token in (":", "|") and stack[-1].bracket == "[":
            stack[-1].marks.append(token)
            stack[-1].parts.append([])
        else:
            stack[-1].parts[-1].append(token)
    while len(stack) > 1:
        top = stack.pop()
        stack[-1].parts[-1] += top.literally()
    return tuple(stack[0].parts[0])


def _closes(end: str, bracket: str) -> bool:
    return (bracket + end) in ("[]", "()")


def _closed(top: _Open, end: str) -> Sequence[Node]:
    parts = [tuple(part) for part in top.parts]
    if top.bracket == "[" and top.marks and set(top.marks) == {"|"}:
        return [Turns(tuple(parts))]
    if top.bracket == "[" and top.marks in ([":"], [":", ":"]) and _number(parts[-1]) is not None:
        before, after = ((), parts[0]) if len(parts) == 2 else (parts[0], parts[1])
        return [Switch(before, after, _number(parts[-1]) or 0.0)]
    return top.literally(end)


def _number(nodes: Nodes) -> float | None:
    text = "".join(node for node in nodes if isinstance(node, str))
    plain = all(isinstance(node, str) for node in nodes) and NUMBER.fullmatch(text)
    return max(float(text), 0.0) if plain else None


def _changes(nodes: Nodes, steps: int) -> Sequence[int]:
    """The steps after which something is different, and the last one."""
    every = set(_switches(nodes, steps))
    return sorted({step for step in every if 0 < step < steps} | {steps})


def _switches(nodes: Nodes, steps: int) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, Switch):
            yield node.last(steps)
            yield from _switches((*node.before, *node.after), steps)
        elif isinstance(node, Turns):
            yield from range(1, steps)


def _render(nodes: Nodes, step: int, steps: int) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, Switch):
            yield from _render(node.before if step <= node.last(steps) else node.after, step, steps)
        else:
            yield from _render(node.options[(step - 1) % len(node.options)], step, steps)
