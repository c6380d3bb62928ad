"""Import a library in such a way that it does not find another one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """While this lasts, importing the package or a part of it is an ImportError, as if it were missing.

    What was imported of it before is there again afterwards. The whole process is meant, other threads too.
    """
    modules: dict[str, Any] = sys.modules
    found = {name: module for name, module in modules.items() if name.partition(".")[0] == package}
    modules.update(dict.fromkeys([package, *found]))  # None makes an import fail
    try:
        yield
    finally:
        for name in {package, *found}:
            del modules[name]
        modules.update(found)
