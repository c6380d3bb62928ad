"""A GPU of Windows, open."""

from latentry_directml.options import DirectMlOptions
from latentry_directml.probing import DTYPES
from latentry_sdk import Memory, Unavailable
from latentry_sdk.torch_device import TorchDevice, TorchPlace


def directml_device(options: DirectMlOptions) -> TorchDevice:
    """The GPU, used as `options` say."""
    return TorchDevice(directml_place(options))


def directml_place(options: DirectMlOptions) -> TorchPlace:
    """What sets it apart from other torch devices; `Unavailable` where DirectML has no such adapter.

    It does not say how much memory is free, and its arrays fail in torch's inference mode.
    """
    import torch_directml

    count = torch_directml.device_count() if torch_directml.is_available() else 0
    if options.adapter >= count:
        names = ", ".join(f"{i}: {torch_directml.device_name(i)}" for i in range(count)) or "none"
        raise Unavailable(f"DirectML has no adapter {options.adapter}", fix=f"choose among {names}")
    return TorchPlace(
        name="directml",
        home=str(torch_directml.device(options.adapter)),
        dtypes=DTYPES,
        memory=Memory,
        doubles=False,
        inference=False,
        channels_last=options.channels_last,
    )
