"""A profile of each test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test's profile is; nothing is there yet."""
    path = tmp_path / "own" / "machine.json"
    monkeypatch.setenv("LATENTRY_PROFILE", str(path))
    return path
