"""Count what a component takes on the pretend accelerator."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from latentry_sdk import Device, Footprint, Options, Placed
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger, fake_device

PLENTY = 1 << 50
"""Bytes of memory that are never used up."""


@dataclass(frozen=True)
class Account:
    """The pretend accelerator, which finds out shapes only, and what is held there."""

    device: Device
    ledger: Ledger = field(default_factory=Ledger)

    @classmethod
    def opened(cls) -> "Account | None":
        """The account, where the accelerator can be built."""
        spec = fake_device(0, FakeAccelerator(PLENTY, dry=True))
        return cls(spec.open(Options())) if spec.probe().available else None

    def now(self) -> int:
        """Bytes that are held."""
        gc.collect()
        return self.ledger.now

    def taken(self, placed: Placed, arguments: Sequence[Any], before: int) -> Footprint:
        """What a placed component keeps after a call, and what a call takes beside that at its peak.

        `before` are the bytes that were held without it.
        """
        with self.device.activate():
            placed(*arguments)
            kept = self.now()
            self.ledger.restart()
            placed(*arguments)
            return Footprint(kept - before, self.ledger.peak - kept)
