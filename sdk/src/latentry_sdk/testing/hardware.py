"""Tests of hardware that most machines lack: collected everywhere, run where the device is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from latentry_sdk import Device, DeviceSpec


@contextmanager
def opened(spec: DeviceSpec, **options: Any) -> Iterator[Device]:
    """The device, open with these options; skips the test, with the reason, where it is not there."""
    report = spec.probe()
    if not report.available:
        pytest.skip(f"{spec.name} is not there: {report.detail}")
    device = spec.open(spec.options(**options))
    try:
        yield device
    finally:
        device.close()
