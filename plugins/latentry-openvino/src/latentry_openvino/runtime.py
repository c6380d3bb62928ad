"""Import OpenVINO in silence: its converter reports to Google where its telemetry is installed."""

import sys
from typing import Any

TELEMETRY = "openvino_telemetry"


def load_openvino() -> Any:
    """The module `openvino`. When this imports it, it finds no telemetry and uses its own stub instead."""
    if "openvino" not in sys.modules:
        _import_without_telemetry()
    import openvino

    return openvino


def _import_without_telemetry() -> None:
    modules: dict[str, Any] = sys.modules
    hidden = {name: module for name, module in modules.items() if name.partition(".")[0] == TELEMETRY}
    modules.update(dict.fromkeys([TELEMETRY, *hidden]))  # None makes an import of it fail
    try:
        import openvino  # noqa: F401
    finally:
        del modules[TELEMETRY]
        modules.update(hidden)
