"""Apple's GPU, open."""

from latentry_mps.options import MpsOptions
from latentry_mps.probing import DTYPES
from latentry_sdk import Memory, Unavailable
from latentry_sdk.machine import system_memory
from latentry_sdk.torch_device import TorchDevice, TorchPlace


def mps_device(options: MpsOptions) -> TorchDevice:
    """The GPU, used as `options` say."""
    return TorchDevice(mps_place(options))


def mps_place(options: MpsOptions) -> TorchPlace:
    """What sets it apart from other torch devices; `Unavailable` where torch does not see it."""
    import torch

    if not torch.backends.mps.is_available():
        built = "for another system" if not torch.backends.mps.is_built() else "for a newer macOS"
        raise Unavailable(f"torch does not see Apple's GPU: it was built {built}", fix="pip install torch")
    return TorchPlace(
        name="mps",
        home="mps",
        dtypes=DTYPES,
        memory=memory,
        empty=torch.mps.empty_cache,
        shared=options.move,
        doubles=False,
        channels_last=options.channels_last,
    )


def memory() -> Memory:
    """What Metal advises to use at most, and what of it neither torch nor another program has.

    What torch keeps but does not use counts as free.
    """
    import torch

    total, used = torch.mps.recommended_max_memory(), torch.mps.current_allocated_memory()
    idle = torch.mps.driver_allocated_memory() - used
    left = (system_memory().free or 0) + idle
    return Memory(total=int(total), free=int(max(0, min(total - used, left))))
