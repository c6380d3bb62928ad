"""What is held on the accelerator's devices, and how much may be."""

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from latentry_sdk.testing.accelerator.building import library

NAME = "fake"
DEVICES = 2


@dataclass(frozen=True)
class Ledger:
    """The account of one device, by its index; all in bytes."""

    index: int = 0

    @property
    def now(self) -> int:
        """What its tensors take."""
        return int(operators().allocated(self.index))

    @property
    def peak(self) -> int:
        """The most that they took since `restart`, or since the process began."""
        return int(operators().peak(self.index))

    def restart(self) -> None:
        """Have the peak begin anew, from what is held now."""
        operators().restart(self.index)

    def limit(self, bytes: int | None) -> None:  # noqa: A002
        """Raise `torch.OutOfMemoryError` for what would go beyond so much; None takes the limit away."""
        operators().set_limit(self.index, -1 if bytes is None else bytes)


def set_dry(on: bool) -> None:
    """Have all devices find out shapes only: nothing is computed, and memory that is counted is not used.

    Full-size models can so be accounted for in seconds. What is brought to the host is 0, and a truth value
    that is asked for is yes.
    """
    import torch._meta_registrations  # noqa: F401  # shapes of operators that have no meta kernel in C++

    operators().set_dry(on)


def set_fused(on: bool) -> None:
    """Have attention keep no scores, as flash attention does (from the start), or keep them all."""
    operators().set_fused(on)


@cache
def operators() -> Any:
    """The library's own operators; the first call builds and registers it, as torch's device `fake`."""
    import torch

    given: Any = torch
    given.ops.load_library(library())
    given.utils.rename_privateuse1_backend(NAME)
    given._register_device_module(NAME, _device_module(torch.ops.latentry_fake))
    return torch.ops.latentry_fake


def _device_module(found: Any) -> ModuleType:
    """What torch and libraries above it look for in `torch.fake`."""
    module: Any = ModuleType(f"torch.{NAME}")
    module.is_available = lambda: True
    module.device_count = lambda: DEVICES
    module.current_device = found.current
    module.set_device = found.set_current
    module.synchronize = module.empty_cache = lambda *_: None
    module.memory_allocated = found.allocated
    module.max_memory_allocated = found.peak
    module.reset_peak_memory_stats = found.restart
    module._is_in_bad_fork = lambda: False
    module.manual_seed_all = lambda _seed: None
    given: ModuleType = module
    return given
