"""An NVIDIA GPU, open."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from latentry_cuda.options import CudaOptions
from latentry_cuda.probing import dtypes_of
from latentry_sdk import Unavailable
from latentry_sdk.gpus import name_of
from latentry_sdk.torch_device import TorchDevice, TorchPlace
from latentry_sdk.torch_gpu import Gpu, attention_mode


def cuda_device(index: int, options: CudaOptions) -> TorchDevice:
    """The GPU of this number, used as `options` say."""
    return TorchDevice(cuda_place(index, options))


def cuda_place(index: int, options: CudaOptions) -> TorchPlace:
    """What sets it apart from other torch devices; `Unavailable` where torch does not see it."""
    import torch

    name, count = name_of("cuda", index), torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise Unavailable(f"torch sees {count} CUDA devices, not {name}", fix="run latentry doctor")
    gpu = Gpu(torch.cuda, name=name, home=f"cuda:{index}", index=index, options=options)
    dtypes = dtypes_of(torch.cuda.get_device_capability(index))
    return gpu.place(dtypes, attention_mode(options.attention), partial(tf32, options.tf32))


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether float32 products and convolutions may be of TF32; torch's own settings come back afterwards.

    By itself torch allows it for convolutions only.
    """
    import torch

    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = allowed
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
