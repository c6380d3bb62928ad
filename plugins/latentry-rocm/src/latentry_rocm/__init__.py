"""AMD GPUs as Latentry devices, one for each."""

from collections.abc import Sequence

from latentry_rocm.cards import visible_cards
from latentry_rocm.options import RocmOptions
from latentry_rocm.probing import free_memory, probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl
from latentry_sdk.gpus import one_for_each


def open_rocm(index: int, options: Options) -> Device:
    """The GPU of this number, open; `Unavailable` where torch does not see it."""
    from latentry_rocm.device import rocm_device

    return rocm_device(index, RocmOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `rocm`, also called `rocm:0`, and `rocm-1`, also called `rocm:1`, and so on."""
    count = len(visible_cards())
    return one_for_each(
        count, "rocm", "AMD", probe=probe, open=open_rocm, memory=free_memory, options=RocmOptions
    )
