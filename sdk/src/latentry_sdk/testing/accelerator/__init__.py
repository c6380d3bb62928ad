"""A pretend accelerator for tests: devices of torch whose memory is the host's own, counted and limited.

`FakeAccelerator` is a plugin that gives them to a host, and `Ledger` tells what is held there. The library is
built once, by the machine's C++ compiler.
"""

from latentry_sdk.testing.accelerator.ledger import DEVICES, Ledger
from latentry_sdk.testing.accelerator.plugin import FakeAccelerator, fake_device

__all__ = ["DEVICES", "FakeAccelerator", "Ledger", "fake_device"]
