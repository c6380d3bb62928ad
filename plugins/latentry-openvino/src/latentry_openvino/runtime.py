"""Import OpenVINO in silence: its converter reports to Google where its telemetry is installed."""

import sys
from typing import Any

from latentry_sdk.hiding import hidden

TELEMETRY = "openvino_telemetry"


def load_openvino() -> Any:
    """The module `openvino`. When this imports it, it finds no telemetry and uses its own stub instead."""
    if "openvino" not in sys.modules:
        with hidden(TELEMETRY):
            import openvino
    import openvino

    return openvino
