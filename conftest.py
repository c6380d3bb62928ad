"""Put what takes longest first, so that no core waits at the end while another has a long file before it.

A profile of the machine that tests run on changes no plan of theirs. What earlier files have left is not
looked through for garbage: torch, diffusers and ten thousand tests are millions of objects, which would cost
seconds each time.
"""

import gc
import os

import pytest


def pytest_configure() -> None:
    """Turn the machine's profile off, for the processes of tests too."""
    os.environ["LATENTRY_PROFILE"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by the longest time-out that one of their tests has, slow ones before the rest."""
    longest: dict[object, tuple[float, bool]] = {}
    for item in items:
        timeout = item.get_closest_marker("timeout")
        seconds = float(timeout.args[0]) if timeout else 0.0
        this = (seconds, item.get_closest_marker("slow") is not None)
        longest[item.path] = max(longest.get(item.path, this), this)
    items.sort(key=lambda item: longest[item.path], reverse=True)


@pytest.fixture(autouse=True, scope="module")
def _only_new_garbage() -> None:
    """Have the collector leave out all that is there when a file begins."""
    gc.collect()
    gc.freeze()
