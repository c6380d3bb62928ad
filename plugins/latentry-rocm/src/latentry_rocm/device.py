"""An AMD GPU, open: torch reaches it by `torch.cuda`, as it does NVIDIA's."""

from latentry_rocm.options import RocmOptions
from latentry_rocm.probing import INDEX, dtypes_of
from latentry_sdk import Unavailable
from latentry_sdk.gpus import name_of
from latentry_sdk.torch_builds import reinstall
from latentry_sdk.torch_device import TorchDevice, TorchPlace
from latentry_sdk.torch_gpu import Gpu, attention_mode


def rocm_device(index: int, options: RocmOptions) -> TorchDevice:
    """The GPU of this number, used as `options` say."""
    return TorchDevice(rocm_place(index, options))


def rocm_place(index: int, options: RocmOptions) -> TorchPlace:
    """What sets it apart from other torch devices; `Unavailable` where torch does not see it."""
    import torch

    name = name_of("rocm", index)
    if torch.version.hip is None:
        raise Unavailable("torch was not built for ROCm", fix=reinstall(INDEX))
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise Unavailable(f"torch sees {count} ROCm devices, not {name}", fix="run latentry doctor")
    gpu = Gpu(torch.cuda, name=name, home=f"cuda:{index}", index=index, options=options)
    architecture = str(torch.cuda.get_device_properties(index).gcnArchName)
    return gpu.place(dtypes_of(architecture), attention_mode(options.attention))
