"""Import Intel's extension beside any version of transformers.

The extension loads parts of its own for language models, which read names inside of transformers 4 and fail
on those of 5. Where it finds no transformers, it leaves these parts out, and nothing here uses them.
"""

import sys
from typing import Any

from latentry_sdk.hiding import hidden
from latentry_sdk.quiet import quiet


def load_extension() -> Any:
    """The module `intel_extension_for_pytorch`."""
    if "intel_extension_for_pytorch" not in sys.modules:
        with hidden("transformers"), quiet():
            import intel_extension_for_pytorch
    import intel_extension_for_pytorch

    return intel_extension_for_pytorch
