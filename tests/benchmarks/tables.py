"""Tables of a page that benchmarks fill: each follows a comment that names it."""

import re
from collections.abc import Sequence


def page_with(
    text: str, mark: str, head: Sequence[str], order: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """The page with these rows in the table after `<!-- mark -->`, which keeps its others; in this order."""
    old = re.compile(rf"(?<=<!-- {re.escape(mark)} -->\n)(?P<table>(?:\|.*\n)*)")
    found = old.search(text)
    kept = [line.strip("| ").split(" | ") for line in found["table"].splitlines()[2:]] if found else []
    table = {row[0]: row for row in (*kept, *rows)}
    lines = [head, ["---"] * len(head), *(table[name] for name in order if name in table)]
    return old.sub(lambda _: "".join(f"| {' | '.join(line)} |\n" for line in lines), text)
