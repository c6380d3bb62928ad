"""Choose the folder in which inductor keeps its programs."""

import os
from pathlib import Path

from latentry_sdk import Undo

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Where inductor looks for the folder; it writes its own choice there, too."""


def keep_programs_in(folder: Path) -> Undo:
    """Have inductor use `folder`, unless the environment names one that is not inductor's own choice."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    before = os.environ.get(VARIABLE)
    if before not in (None, default_cache_dir()):
        return lambda: None
    os.environ[VARIABLE] = str(folder)

    def undo() -> None:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before

    return undo
