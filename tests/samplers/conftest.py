"""The tables of docs/samplers.md, for the tests that hold them."""

import os
import re
from dataclasses import dataclass
from math import ceil, log10
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "samplers.md"
WRITING = bool(os.environ.get("LATENTRY_WRITE_DOCS"))
LIMIT = 1e-4
ROUNDING = 1e-14
"""Differences below this are none."""

ROW = re.compile(
    r"^\| `(?P<sampler>\w+)` \| (?P<reference>[^|]+) \| (?P<figure>1e-\d+) \|(?P<rest>.*)$", re.M
)


@dataclass(frozen=True)
class Measured:
    """The table of largest differences, which are powers of ten."""

    page: Path

    def rows(self) -> dict[tuple[str, str], float]:
        """The figures by sampler and reference."""
        text = self.page.read_text(encoding="utf-8")
        return {(row["sampler"], row["reference"]): float(row["figure"]) for row in ROW.finditer(text)}

    def check(self, sampler: str, reference: str, difference: float) -> None:
        """The figure holds and is not much larger than what was found; it is written first if asked for."""
        assert difference < LIMIT
        if WRITING:
            self._write(sampler, reference, f"1e-{-ceil(log10(2 * max(difference, ROUNDING))):02}")
        stated = self.rows()[sampler, reference]
        assert difference <= stated <= 100 * max(difference, ROUNDING)

    def _write(self, sampler: str, reference: str, figure: str) -> None:
        def written(row: re.Match[str]) -> str:
            mine = (row["sampler"], row["reference"]) == (sampler, reference)
            return row[0].replace(f"| {row['figure']} |", f"| {figure} |") if mine else row[0]

        text = self.page.read_text(encoding="utf-8")
        self.page.write_text(ROW.sub(written, text), encoding="utf-8")


@pytest.fixture
def measured() -> Measured:
    """The table as it is on the page."""
    return Measured(PAGE)


@pytest.fixture
def page() -> str:
    """The text of the page."""
    return PAGE.read_text(encoding="utf-8")
